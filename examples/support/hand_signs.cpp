#include "hand_signs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <initializer_list>
#include <random>
#include <utility>

namespace examples {
namespace {

constexpr int side = 64;
constexpr int class_count = 6;

/// Draws from raw generator bits: the standard distributions differ between library vendors.
class Random {
public:
    explicit Random(std::uint64_t seed) : engine_(seed) {}

    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }
    bool chance(float probability) { return uniform(0.0F, 1.0F) < probability; }

    float uniform(float low, float high) {
        return low + (high - low) * static_cast<float>(engine_() >> 40U) * 0x1p-24F;
    }

    /// Sums the four 16-bit fields of one draw: bell-shaped enough for noise, and needs no logarithm.
    float normal(float deviation) {
        const std::uint64_t bits = engine_();
        const std::uint64_t sum =
            (bits & 0xFFFFU) + (bits >> 16U & 0xFFFFU) + (bits >> 32U & 0xFFFFU) + (bits >> 48U);
        return deviation * (static_cast<float>(sum) * 0x1p-16F - 2.0F) * 1.7320508F;
    }

private:
    std::mt19937_64 engine_;
};

constexpr float blend(float a, float b, float t) { return a + (b - a) * t; }

struct Vec2 {
    float x = 0.0F;
    float y = 0.0F;
};

constexpr Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
constexpr Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
constexpr Vec2 operator*(Vec2 a, float s) { return {a.x * s, a.y * s}; }
constexpr float dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
float length(Vec2 a) { return std::sqrt(dot(a, a)); }

/// The unit vector `angle` radians clockwise from straight up.
Vec2 heading(float angle) { return {std::sin(angle), std::cos(angle)}; }

struct Colour {
    float r = 0.0F;
    float g = 0.0F;
    float b = 0.0F;
};

constexpr Colour operator*(Colour a, float s) { return {a.r * s, a.g * s, a.b * s}; }
constexpr Colour mix(Colour a, Colour b, float t) {
    return {blend(a.r, b.r, t), blend(a.g, b.g, t), blend(a.b, b.b, t)};
}

float smooth_step(float low, float high, float x) {
    const float t = std::clamp((x - low) / (high - low), 0.0F, 1.0F);
    return t * t * (3.0F - 2.0F * t);
}

/// Falls from 1 at zero to 0 at `width`, with no kink at either end.
float bump(float x, float width) { return 1.0F - smooth_step(0.0F, width, std::abs(x)); }

// ---- Shapes. A hand lives in its own frame: y up, thumb to the right, palm about one unit wide. ----

struct Capsule {
    Vec2 base, tip;
    float base_radius, tip_radius;
};

struct Surface {
    float distance;  // to the outline, negative inside
    Vec2 slope;      // gradient of the distance
    float radius;    // depth at which the surface is level
    float along;     // bones passed since the base of the part
};

Surface surface_of(const Capsule& capsule, Vec2 point) {
    const Vec2 axis = capsule.tip - capsule.base;
    const float along = std::clamp(dot(point - capsule.base, axis) / dot(axis, axis), 0.0F, 1.0F);
    const Vec2 offset = point - capsule.base - axis * along;
    const float reach = length(offset);
    const float radius = blend(capsule.base_radius, capsule.tip_radius, along);
    return {reach - radius, offset * (1.0F / std::max(reach, 1e-4F)), radius, along};
}

/// Union of two surfaces whose meeting line is rounded over `softness`.
Surface join(const Surface& a, const Surface& b, float softness) {
    const float t = std::clamp(0.5F + 0.5F * (a.distance - b.distance) / softness, 0.0F, 1.0F);
    return {blend(a.distance, b.distance, t) - softness * t * (1.0F - t),
            a.slope * (1.0F - t) + b.slope * t, blend(a.radius, b.radius, t),
            t < 0.5F ? a.along : b.along};
}

/// One layer of the hand: bones joined into a single surface.
class Part {
public:
    /// Over the share `emergence` of its first bone the part grows out of the layer below; at 0 it lies on it.
    Part(std::vector<Capsule> bones, float softness, float emergence, float crease)
        : bones_(std::move(bones)), softness_(softness), emergence_(emergence), crease_(crease) {
        middle_ = (bones_.front().base + bones_.back().tip) * 0.5F;
        for (const Capsule& bone : bones_) {
            reach_ = std::max(reach_, length(bone.base - middle_) + bone.base_radius + softness);
            reach_ = std::max(reach_, length(bone.tip - middle_) + bone.tip_radius + softness);
        }
    }

    /// A cheap test that spares most pixels the surface of most parts.
    bool beyond(Vec2 point, float margin) const { return length(point - middle_) > reach_ + margin; }

    Surface surface(Vec2 point) const {
        Surface result = surface_of(bones_.front(), point);
        for (std::size_t i = 1; i < bones_.size(); ++i) {
            Surface next = surface_of(bones_[i], point);
            next.along += static_cast<float>(i);
            result = join(result, next, softness_);
        }
        return result;
    }

    float emerged(float along) const {
        return emergence_ > 0.0F ? smooth_step(0.3F * emergence_, emergence_, along) : 1.0F;
    }

    /// Darkness of the skin folds across the joints.
    float fold(float along) const {
        const float last = static_cast<float>(bones_.size() - 1);
        const float joint = std::clamp(std::round(along), 1.0F, std::max(last, 1.0F));
        return crease_ * bump(along - joint, 0.2F);
    }

private:
    std::vector<Capsule> bones_;
    float softness_;
    float emergence_;
    float crease_;
    Vec2 middle_;
    float reach_ = 0.0F;
};

// ---- Anatomy of an open right hand seen from the palm. ----

constexpr unsigned thumb = 1, index = 2, middle = 4, ring = 8, little = 16;

/// The fingers raised for each class, in either of two gestures.
constexpr std::array<std::array<unsigned, 2>, class_count> gestures{{
    {0, 0},
    {index, index},
    {index | middle, index | middle},
    {index | middle | ring, thumb | index | middle},
    {index | middle | ring | little, index | middle | ring | little},
    {thumb | index | middle | ring | little, thumb | index | middle | ring | little},
}};

struct Finger {
    unsigned name;
    Vec2 knuckle;
    float splay;  // clockwise from straight up, for a hand spread normally
    float length;
    float radius;
};

/// From the little finger to the index, the order in which they are layered.
constexpr std::array<Finger, 4> fingers{{
    {little, {-0.36F, 0.26F}, -0.30F, 0.72F, 0.108F},
    {ring, {-0.13F, 0.40F}, -0.11F, 0.94F, 0.122F},
    {middle, {0.11F, 0.44F}, 0.03F, 1.02F, 0.128F},
    {index, {0.34F, 0.38F}, 0.18F, 0.92F, 0.124F},
}};

struct Build {
    float size;    // finger length
    float girth;   // finger thickness
    float spread;  // 0: fingers side by side
};

/// A tapering chain of bones, each turned `bend` radians further than the one before.
std::vector<Capsule> bone_chain(Vec2 base, float angle, float bend, float radius,
                                std::initializer_list<float> lengths) {
    constexpr float taper = 0.93F;
    std::vector<Capsule> bones;
    for (const float bone_length : lengths) {
        const Vec2 tip = base + heading(angle) * bone_length;
        bones.push_back({base, tip, radius, radius * taper});
        base = tip;
        radius *= taper;
        angle += bend;
    }
    return bones;
}

Part raised_finger(Random& random, const Finger& finger, const Build& build) {
    constexpr float root = 0.16F;  // starts inside the palm, so that the two merge
    const float angle = finger.splay * build.spread + random.normal(0.04F);
    const float reach = finger.length * build.size * random.uniform(0.92F, 1.08F);
    return {bone_chain(finger.knuckle - heading(angle) * root, angle, random.normal(0.05F),
                       finger.radius * build.girth, {root + reach * 0.40F, reach * 0.30F, reach * 0.25F}),
            0.02F, 0.55F, 0.14F};
}

/// A folded finger shows its last two bones, lying down the palm from a knuckle at the palm's edge.
Part folded_finger(Random& random, const Finger& finger, const Build& build) {
    const Vec2 knuckle = finger.knuckle + Vec2{random.normal(0.015F), 0.05F + random.normal(0.03F)};
    const Vec2 toward_heel = Vec2{0.03F, -0.45F} - knuckle;
    const float reach = finger.length * build.size * 0.5F;
    return {bone_chain(knuckle, std::atan2(toward_heel.x, toward_heel.y) + random.normal(0.05F), 0.0F,
                       finger.radius * build.girth * 1.12F, {reach * 0.55F, reach * 0.45F}),
            0.02F, 0.0F, 0.14F};
}

Part thumb_part(Random& random, bool raised, const Build& build) {
    const float angle = raised ? 0.70F + 0.20F * build.spread + random.normal(0.06F) : random.uniform(0.35F, 0.55F);
    const float bend = raised ? random.uniform(-0.30F, -0.05F) : random.uniform(-0.95F, -0.75F);
    return {bone_chain({0.20F, -0.42F}, angle, bend, 0.165F * build.girth,
                       {0.42F, 0.33F * build.size, 0.27F * build.size}),
            0.02F, 0.9F, 0.14F};
}

Part palm_and_forearm(Random& random, Vec2 forearm) {
    const Vec2 wrist{0.0F, -0.72F};
    const float thickness = random.uniform(0.24F, 0.29F);
    return {{{{-0.27F, 0.20F}, {-0.15F, -0.48F}, 0.20F, 0.24F},
             {{0.00F, 0.30F}, {0.00F, -0.50F}, 0.24F, 0.28F},
             {{0.26F, 0.26F}, {0.17F, -0.45F}, 0.21F, 0.27F},
             {wrist, wrist + forearm * 2.0F, thickness, thickness + 0.5F}},
            0.16F, 0.0F, 0.0F};
}

constexpr std::array<Capsule, 3> palm_lines{{
    {{-0.38F, 0.10F}, {0.02F, 0.22F}, 0.0F, 0.0F},
    {{0.38F, 0.10F}, {0.06F, -0.02F}, 0.0F, 0.0F},
    {{0.06F, -0.02F}, {0.00F, -0.45F}, 0.0F, 0.0F},
}};

/// The parts from back to front, the palm first.
std::vector<Part> build_hand(Random& random, unsigned raised, Vec2 forearm) {
    const Build build{random.uniform(0.92F, 1.12F), random.uniform(0.90F, 1.14F), random.uniform(SPREAD, 1.55F)};
    std::vector<Part> parts{palm_and_forearm(random, forearm)};
    for (const Finger& finger : fingers) {
        if ((raised & finger.name) != 0) parts.push_back(raised_finger(random, finger, build));
    }
    for (const Finger& finger : fingers) {
        if ((raised & finger.name) == 0) parts.push_back(folded_finger(random, finger, build));
    }
    parts.push_back(thumb_part(random, (raised & thumb) != 0, build));
    return parts;
}

// ---- The picture, in pixels, y down. ----

constexpr Vec2 picture_centre{0.5F * side, 0.5F * side};
constexpr float half_turn = 3.1415927F;

struct Pose {
    Vec2 centre;
    float scale;  // pixels per unit of the hand frame
    Vec2 up;      // of the hand, in the picture
    float flip;   // -1 for a left hand

    Vec2 direction_to_hand(Vec2 v) const { return {flip * (v.y * up.x - v.x * up.y), dot(v, up)}; }
    Vec2 to_hand(Vec2 pixel) const { return direction_to_hand(pixel - centre) * (1.0F / scale); }
};

struct Blob {
    Capsule shape;
    float blur;
    Colour colour;
};

struct Backdrop {
    Colour near, far;
    Vec2 gradient;
    Vec2 wave, cross_wave;
    float texture;
    std::vector<Blob> clutter;

    Colour at(Vec2 pixel) const {
        const float t = std::clamp(0.5F + dot(pixel - picture_centre, gradient), 0.0F, 1.0F);
        Colour colour = mix(near, far, t);
        for (const Blob& blob : clutter) {
            const float distance = surface_of(blob.shape, pixel).distance;
            colour = mix(colour, blob.colour, 1.0F - smooth_step(-blob.blur, blob.blur, distance));
        }
        return colour * (1.0F + texture * std::sin(dot(pixel, wave)) * std::sin(dot(pixel, cross_wave)));
    }
};

struct Light {
    Vec2 direction;  // across the hand frame
    float ambient;
    Vec2 fall_off;       // change of brightness per pixel
    Vec2 shadow_offset;  // from a point to what shades it, in the hand frame
    float shadow;        // darkness of the cast shadow
};

struct Scene {
    std::vector<Part> hand;
    Pose pose;
    Colour skin;
    Backdrop backdrop;
    Light light;
};

Colour jitter(Random& random, Colour colour, float deviation) {
    return {colour.r + random.normal(deviation), colour.g + random.normal(deviation),
            colour.b + random.normal(deviation)};
}

Colour skin_tone(Random& random) {
    const float depth = random.uniform(0.0F, 1.0F);
    const Colour light_to_tan = mix({0.90F, 0.68F, 0.56F}, {0.78F, 0.54F, 0.40F}, depth);
    return jitter(random, mix(light_to_tan, {0.48F, 0.30F, 0.21F}, depth * depth * 0.9F), 0.015F);
}

Colour wall_colour(Random& random) {
    const float grey = random.uniform(WALL_LO, 0.95F);
    return jitter(random, {grey, grey * 0.985F, grey * 0.96F}, WALL_J);
}

Vec2 any_direction(Random& random) { return heading(random.uniform(-half_turn, half_turn)); }

Backdrop make_backdrop(Random& random) {
    const Colour wall = wall_colour(random);
    Backdrop backdrop{wall,
                      mix(wall, wall_colour(random), random.uniform(0.1F, 0.7F)),
                      any_direction(random) * random.uniform(0.004F, 0.016F),
                      any_direction(random) * random.uniform(0.2F, 1.2F),
                      any_direction(random) * random.uniform(0.1F, 0.6F),
                      random.uniform(0.0F, 0.03F),
                      {}};
    for (std::size_t remaining = random.below(CLUT); remaining > 0; --remaining) {
        const Vec2 start = picture_centre + any_direction(random) * random.uniform(20.0F, 45.0F);
        const Vec2 end = start + any_direction(random) * random.uniform(4.0F, 60.0F);
        const float radius = random.uniform(2.0F, 12.0F);
        backdrop.clutter.push_back({{start, end, radius, radius},
                                    random.uniform(1.5F, 6.0F),
                                    mix(wall, wall_colour(random), random.uniform(0.2F, CLUTC))});
    }
    return backdrop;
}

Light make_light(Random& random, const Pose& pose) {
    const Vec2 away = heading(half_turn + random.uniform(-1.3F, 1.3F));
    const Vec2 toward{-away.x, away.y};
    const Vec2 direction = pose.direction_to_hand(toward);
    return {direction * 0.75F, random.uniform(0.45F, 0.70F), toward * random.uniform(0.0F, 0.006F),
            direction * random.uniform(0.10F, 0.30F), random.uniform(0.1F, 0.5F)};
}

Scene make_scene(Random& random, std::size_t label) {
    const float tilt = random.uniform(-TILT, TILT);
    const Pose pose{picture_centre + Vec2{random.normal(3.5F), 6.0F + random.normal(2.5F)},
                    random.uniform(SC_LO, SC_HI),
                    {std::sin(tilt), -std::cos(tilt)},
                    random.chance(0.5F) ? 1.0F : -1.0F};
    // Halfway between the hand's own axis and the bottom of the picture, where the arm comes from.
    const Vec2 forearm = Vec2{0.0F, -1.0F} + pose.direction_to_hand({random.normal(0.25F), 1.0F});
    const unsigned raised = gestures[label][random.below(2)];
    return {build_hand(random, raised, forearm), pose, skin_tone(random), make_backdrop(random),
            make_light(random, pose)};
}

struct Pixel {
    Colour colour;
    float hand = 0.0F;  // share of the pixel that the hand covers so far
};

Colour lit_skin(const Scene& scene, const Surface& surface) {
    constexpr float light_height = 0.66F;
    const float rim = std::clamp(1.0F + surface.distance / surface.radius, 0.0F, 1.0F);
    const float slant = rim * rim;
    const float facing = light_height * std::sqrt(1.0F - 0.97F * slant * slant) +
                         slant * dot(surface.slope, scene.light.direction);
    const float ambient = scene.light.ambient;
    const float shade = ambient + (1.0F - ambient) * 1.25F * std::max(facing, 0.0F);
    const float glow = 0.10F * std::max(1.0F - shade, 0.0F);  // light scattered in the skin reddens its shade
    return {scene.skin.r * (shade + glow), scene.skin.g * shade, scene.skin.b * (shade - 0.3F * glow)};
}

void paint_part(const Scene& scene, const Part& part, Vec2 point, Pixel& pixel) {
    constexpr float contact_width = 0.11F;
    if (part.beyond(point, contact_width)) return;
    const Surface surface = part.surface(point);
    const float presence = blend(1.0F, part.emerged(surface.along), pixel.hand);
    const float contact = 0.45F * bump(std::max(surface.distance, 0.0F), contact_width);
    pixel.colour = pixel.colour * (1.0F - contact * presence * pixel.hand);

    const float coverage = presence * std::clamp(0.5F - surface.distance * scene.pose.scale, 0.0F, 1.0F);
    const Colour skin = lit_skin(scene, surface) * (1.0F - part.fold(surface.along));
    pixel.colour = mix(pixel.colour, skin, coverage);
    pixel.hand = std::max(pixel.hand, coverage);
}

float cast_shadow(const Scene& scene, Vec2 point) {
    constexpr float penumbra = 0.20F;
    float distance = penumbra;
    for (const Part& part : scene.hand) {
        if (!part.beyond(point, penumbra)) distance = std::min(distance, part.surface(point).distance);
    }
    return scene.light.shadow * (1.0F - smooth_step(-0.12F, penumbra, distance));
}

Colour render_pixel(const Scene& scene, Vec2 position) {
    const Vec2 point = scene.pose.to_hand(position);
    const float shadow = cast_shadow(scene, point + scene.light.shadow_offset);
    Pixel pixel{scene.backdrop.at(position) * (1.0F - shadow)};
    paint_part(scene, scene.hand.front(), point, pixel);
    for (const Capsule& line : palm_lines) {
        const float darkness = 0.15F * bump(surface_of(line, point).distance, 0.06F);
        pixel.colour = pixel.colour * (1.0F - darkness * pixel.hand);
    }
    for (std::size_t i = 1; i < scene.hand.size(); ++i) paint_part(scene, scene.hand[i], point, pixel);
    return pixel.colour * (1.0F + dot(position - picture_centre, scene.light.fall_off));
}

using Picture = std::array<Colour, side * side>;

/// Spreads `share` of each pixel to either neighbour `step` entries away, wherever there is one.
void blur(Picture& picture, std::size_t step, float share) {
    const Picture sharp = picture;
    for (std::size_t i = 0; i < sharp.size(); ++i) {
        const std::size_t place = i / step % side;
        const Colour& before = sharp[place == 0 ? i : i - step];
        const Colour& after = sharp[place == side - 1 ? i : i + step];
        picture[i] = mix(sharp[i], mix(before, after, 0.5F), 2.0F * share);
    }
}

}  // namespace

HandSigns draw_hand_signs(int count, std::uint64_t seed) {
    Random random(seed);
    HandSigns signs;
    for (int i = 0; i < count; ++i) signs.labels.push_back(i % class_count);
    for (std::size_t i = signs.labels.size(); i > 1; --i) {
        std::swap(signs.labels[i - 1], signs.labels[random.below(i)]);
    }
    signs.pixels.reserve(signs.labels.size() * side * side * 3);
    Picture picture;
    for (const std::int64_t label : signs.labels) {
        const Scene scene = make_scene(random, static_cast<std::size_t>(label));
        for (std::size_t i = 0; i < picture.size(); ++i) {
            const Vec2 corner{static_cast<float>(i % side), static_cast<float>(i / side)};
            picture[i] = render_pixel(scene, corner + Vec2{0.5F, 0.5F});
        }
        const float softness = random.uniform(0.0F, 0.2F);
        blur(picture, 1, softness);
        blur(picture, side, softness);
        const float grain = random.uniform(0.004F, 0.016F);
        for (const Colour& colour : picture) {
            for (const float value : {colour.r, colour.g, colour.b}) {
                const float exposed = std::clamp(value + random.normal(grain), 0.0F, 1.0F);
                signs.pixels.push_back(static_cast<std::uint8_t>(exposed * 255.0F + 0.5F));
            }
        }
    }
    return signs;
}

}  // namespace examples
