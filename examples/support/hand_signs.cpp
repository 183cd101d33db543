#include "hand_signs.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <random>
#include <utility>

namespace examples {
namespace {

constexpr std::size_t side = 64, class_count = 6;

// Draws from raw generator bits, as standard distributions differ between library vendors. For the same
// reason no expression below draws twice unless braces order it.
class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(engine_() % bound); }
  float uniform(float low, float high) {
    return low + (high - low) * static_cast<float>(engine_() >> 40U) * 0x1p-24F;
  }
  // Sums the four 16-bit fields of one draw: bell-shaped enough, and needs no logarithm.
  float normal(float deviation) {
    std::uint64_t sum = 0;
    for (std::uint64_t bits = engine_(); bits != 0; bits >>= 16U) sum += bits & 0xFFFFU;
    return deviation * (static_cast<float>(sum) * 0x1p-16F - 2.0F) * 1.7320508F;
  }

 private:
  std::mt19937_64 engine_;
};

float blend(float a, float b, float t) { return a + (b - a) * t; }
float smooth_step(float low, float high, float x) {
  const float t = std::clamp((x - low) / (high - low), 0.0F, 1.0F);
  return t * t * (3.0F - 2.0F * t);
}

struct Vec2 {
  float x, y;
};
constexpr Vec2 operator+(Vec2 a, Vec2 b) { return {a.x + b.x, a.y + b.y}; }
constexpr Vec2 operator-(Vec2 a, Vec2 b) { return {a.x - b.x, a.y - b.y}; }
constexpr Vec2 operator*(Vec2 a, float s) { return {a.x * s, a.y * s}; }
constexpr float dot(Vec2 a, Vec2 b) { return a.x * b.x + a.y * b.y; }
float length(Vec2 a) { return std::sqrt(dot(a, a)); }
// The unit vector `angle` radians clockwise from straight up.
Vec2 heading(float angle) { return {std::sin(angle), std::cos(angle)}; }
Vec2 random_vector(Random& random, float shortest, float longest) {
  const Vec2 unit = heading(random.uniform(0.0F, 6.2831853F));
  return unit * random.uniform(shortest, longest);
}

struct Colour {
  float r, g, b;
};
Colour operator*(Colour c, float s) { return {c.r * s, c.g * s, c.b * s}; }
Colour operator+(Colour c, Colour d) { return {c.r + d.r, c.g + d.g, c.b + d.b}; }
Colour mix(Colour c, Colour d, float t) { return c * (1.0F - t) + d * t; }

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

Surface surface_of(const Capsule& bone, Vec2 point) {
  const Vec2 axis = bone.tip - bone.base;
  const float along = std::clamp(dot(point - bone.base, axis) / dot(axis, axis), 0.0F, 1.0F);
  const Vec2 offset = point - bone.base - axis * along;
  const float reach = length(offset), radius = blend(bone.base_radius, bone.tip_radius, along);
  return {reach - radius, offset * (1.0F / std::max(reach, 1e-4F)), radius, along};
}

// One layer of the hand: bones joined into a surface whose inner corners are rounded over `softness`.
struct Part {
  std::vector<Capsule> bones;
  float softness, emergence;  // the first bone grows out of the layer below over this share; 0: lies on it

  // A cheap test that spares most pixels the surface of most parts: false nearer than 0.2 to the outline.
  bool is_far_from(Vec2 point) const {
    const Vec2 base = bones.front().base, half = (bones.back().tip - base) * 0.5F;
    return length(point - base - half) > length(half) + 2.0F * bones.front().base_radius + 0.2F;
  }

  Surface surface(Vec2 point) const {
    Surface all = surface_of(bones.front(), point);
    for (std::size_t i = 1; i < bones.size(); ++i) {
      const Surface next = surface_of(bones[i], point);
      const float t = std::clamp(0.5F + 0.5F * (all.distance - next.distance) / softness, 0.0F, 1.0F);
      all.distance = blend(all.distance, next.distance, t) - softness * t * (1.0F - t);
      all.slope = all.slope + (next.slope - all.slope) * t;
      all.radius = blend(all.radius, next.radius, t);
      if (t > 0.5F) all.along = next.along + static_cast<float>(i);
    }
    return all;
  }
};

// ---- Anatomy of a right hand seen from the palm. ----
constexpr unsigned thumb = 1, index = 2, middle = 4, ring = 8, little = 16, long_fingers = 30;

// The fingers raised for each class; 3 is sometimes thumb, index and middle instead.
constexpr std::array<unsigned, class_count> gestures{
    0, index, index | middle, index | middle | ring, long_fingers, thumb | long_fingers};

struct Finger {
  unsigned name;
  Vec2 knuckle;
  float splay, length, radius;  // splay is clockwise from straight up, for a hand spread normally
};

// From the little finger to the index, the order in which they are layered.
constexpr std::array<Finger, 4> fingers{{
    {little, {-0.36F, 0.26F}, -0.30F, 0.72F, 0.108F},
    {ring, {-0.13F, 0.40F}, -0.11F, 0.94F, 0.122F},
    {middle, {0.11F, 0.44F}, 0.03F, 1.02F, 0.128F},
    {index, {0.34F, 0.38F}, 0.18F, 0.92F, 0.124F},
}};

// A finger or thumb: bones tapering to the tip, each turned `bend` radians further than the one before.
Part digit(Vec2 base, float angle, float bend, float radius, float emergence, std::array<float, 3> lengths) {
  Part part{{}, 0.02F, emergence};
  for (const float bone_length : lengths) {
    const Vec2 tip = base + heading(angle) * bone_length;
    part.bones.push_back({base, tip, radius, radius * 0.93F});
    base = tip;
    radius *= 0.93F;
    angle += bend;
  }
  return part;
}

Part raised_finger(Random& random, const Finger& finger, float spread) {
  constexpr float root = 0.16F;  // length inside the palm, where the two merge
  const float angle = finger.splay * spread + random.normal(0.04F);
  const float bend = random.normal(0.05F), radius = finger.radius * random.uniform(0.92F, 1.10F);
  const float reach = finger.length * random.uniform(0.90F, 1.14F);
  return digit(finger.knuckle - heading(angle) * root, angle, bend, radius, 0.55F,
               {root + reach * 0.40F, reach * 0.30F, reach * 0.25F});
}

// Folded, a finger lies down the palm from a knuckle at the palm's edge.
Part folded_finger(Random& random, const Finger& finger) {
  const Vec2 knuckle = finger.knuckle + Vec2{random.normal(0.015F), 0.05F + random.normal(0.03F)};
  const Vec2 to_heel = Vec2{0.03F, -0.45F} - knuckle;
  const float angle = std::atan2(to_heel.x, to_heel.y) + random.normal(0.05F);
  return digit(knuckle, angle, 0.0F, finger.radius * 1.12F, 0.0F,
               {finger.length * 0.26F, finger.length * 0.19F, finger.length * 0.05F});
}

Part palm_and_forearm(Random& random, Vec2 forearm) {
  const Vec2 wrist{random.normal(0.02F), -0.72F};
  const std::vector<Capsule> bones{{{-0.27F, 0.20F}, {-0.15F, -0.48F}, 0.20F, 0.24F},
                                   {{0.00F, 0.30F}, {0.00F, -0.50F}, 0.24F, 0.28F},
                                   {{0.26F, 0.26F}, {0.17F, -0.45F}, 0.21F, 0.27F},
                                   {wrist, wrist + forearm * 2.0F, 0.265F, 0.76F}};
  return {bones, 0.16F, 0.0F};
}

// The parts from back to front.
std::vector<Part> build_hand(Random& random, unsigned raised, Vec2 forearm) {
  const float spread = random.uniform(1.15F, 1.55F);
  std::vector<Part> parts{palm_and_forearm(random, forearm)};
  for (const bool up : {true, false}) {  // folded fingers lie over the roots of the raised ones
    for (const Finger& finger : fingers) {
      if (((raised & finger.name) != 0) != up) continue;
      parts.push_back(up ? raised_finger(random, finger, spread) : folded_finger(random, finger));
    }
  }
  const bool thumb_up = (raised & thumb) != 0;
  const float angle = (thumb_up ? 0.70F + 0.20F * spread : 0.45F) + random.normal(0.06F);
  const float bend = (thumb_up ? -0.17F : -0.85F) + random.normal(0.06F);
  parts.push_back(digit({0.20F, -0.42F}, angle, bend, 0.165F, 0.9F, {0.42F, 0.34F, 0.28F}));
  return parts;
}

// ---- The picture, in pixels from its centre, y down. ----
struct Scene {
  Vec2 centre, up;              // of the hand
  float scale, flip;            // pixels per unit of the hand frame, and -1 for a left hand
  Vec2 toward_light;            // in the picture, like the rest
  float ambient, shadow, blur;  // blur is the width of an outline in pixels
  Colour skin, wall, far_wall, object_colour;
  Vec2 gradient, weave;  // of the wall
  Capsule object;        // something out of focus before the wall
  std::vector<Part> hand;
  Vec2 to_hand(Vec2 v) const { return {flip * (v.y * up.x - v.x * up.y), dot(v, up)}; }
};

Colour wall_colour(Random& random) {
  const float grey = random.uniform(0.52F, 0.78F);
  return {grey * 0.90F + random.normal(0.015F), grey, grey * 1.06F + random.normal(0.015F)};
}

Scene make_scene(Random& random, std::size_t label) {
  Scene scene;
  const Vec2 lean = heading(random.normal(0.15F));
  scene.up = {lean.x, -lean.y};
  scene.centre = {random.uniform(-13.0F, 13.0F), 6.0F + random.uniform(-7.0F, 7.0F)};
  scene.scale = random.uniform(17.0F, 18.5F);
  scene.flip = random.below(2) == 0 ? 1.0F : -1.0F;
  scene.toward_light = heading(random.uniform(1.8F, 4.5F));
  scene.ambient = random.uniform(0.45F, 0.70F);
  scene.shadow = random.uniform(0.1F, 0.5F);
  scene.blur = random.uniform(1.0F, 1.8F);
  scene.skin = mix({0.88F, 0.66F, 0.53F}, {0.54F, 0.34F, 0.24F}, random.uniform(0.0F, 1.0F));
  scene.wall = wall_colour(random);
  scene.far_wall = mix(scene.wall, wall_colour(random), 0.7F);
  scene.object_colour = mix(scene.wall, wall_colour(random) * 0.8F, 0.25F);
  scene.gradient = random_vector(random, 0.004F, 0.016F);
  scene.weave = random_vector(random, 0.3F, 1.2F);
  const Vec2 object = random_vector(random, 20.0F, 45.0F);
  scene.object = {object, object + random_vector(random, 4.0F, 60.0F), 9.0F, 5.0F};
  // Halfway between the hand's own axis and the bottom of the picture, where the arm comes from.
  const Vec2 forearm = Vec2{0.0F, -1.0F} + scene.to_hand({random.normal(0.25F), 1.0F});
  const bool with_thumb = label == 3 && random.below(4) == 0;
  scene.hand = build_hand(random, with_thumb ? thumb | index | middle : gestures[label], forearm);
  return scene;
}

Colour backdrop(const Scene& scene, Vec2 pixel) {
  const float t = std::clamp(0.5F + dot(pixel, scene.gradient), 0.0F, 1.0F);
  const float edge = smooth_step(-4.0F, 4.0F, surface_of(scene.object, pixel).distance);
  const Colour plain = mix(scene.object_colour, mix(scene.wall, scene.far_wall, t), edge);
  return plain * (1.0F + 0.012F * std::sin(dot(pixel, scene.weave)));
}

Colour lit_skin(const Scene& scene, const Surface& surface) {
  const float rim = std::clamp(1.0F + surface.distance / surface.radius, 0.0F, 1.0F), slant = rim * rim;
  const float sideways = dot(surface.slope, scene.to_hand(scene.toward_light));
  const float facing = 0.66F * std::sqrt(1.0F - 0.97F * slant * slant) + 0.75F * slant * sideways;
  const float shade = scene.ambient + (1.0F - scene.ambient) * 1.25F * std::max(facing, 0.0F);
  const float glow = 0.10F * std::max(1.0F - shade, 0.0F);  // light scattered in the skin reddens its shade
  return {scene.skin.r * (shade + glow), scene.skin.g * shade, scene.skin.b * (shade - 0.3F * glow)};
}

// Lays `part` over `colour`, of which the share `covered` is hand already.
void paint_part(const Scene& scene, const Part& part, Vec2 point, Colour& colour, float& covered) {
  if (part.is_far_from(point)) return;
  const Surface surface = part.surface(point);
  const float emerged = smooth_step(0.3F * part.emergence - 1e-3F, part.emergence, surface.along);
  const float presence = blend(1.0F, emerged, covered);
  const float contact = 0.45F * (1.0F - smooth_step(0.0F, 0.11F, surface.distance)) * presence * covered;
  const float joint = std::clamp(std::round(surface.along), 1.0F, static_cast<float>(part.bones.size() - 1));
  const float fold = 0.14F * (1.0F - smooth_step(0.0F, 0.2F, std::abs(surface.along - joint)));
  const float outline = 0.5F * scene.blur / scene.scale;
  const float coverage = presence * (1.0F - smooth_step(-outline, outline, surface.distance));
  colour = mix(colour * (1.0F - contact), lit_skin(scene, surface) * (1.0F - fold), coverage);
  covered = std::max(covered, coverage);
}

Colour render_pixel(const Scene& scene, Vec2 pixel) {
  const Vec2 point = scene.to_hand(pixel - scene.centre) * (1.0F / scene.scale);
  const Vec2 shader = point + scene.to_hand(scene.toward_light) * 0.2F;
  float distance = 0.2F;
  for (const Part& part : scene.hand) {
    if (!part.is_far_from(shader)) distance = std::min(distance, part.surface(shader).distance);
  }
  const float shadow = scene.shadow * (1.0F - smooth_step(-0.12F, 0.2F, distance));
  Colour colour = backdrop(scene, pixel) * (1.0F - shadow);
  float covered = 0.0F;
  for (const Part& part : scene.hand) paint_part(scene, part, point, colour, covered);
  return colour * (1.0F + 0.003F * dot(pixel, scene.toward_light));
}

}  // namespace

HandSigns draw_hand_signs(int count, std::uint64_t seed) {
  Random random(seed);
  HandSigns signs;
  auto& [pixels, labels] = signs;
  for (int i = 0; i < count; ++i) labels.push_back(i % static_cast<int>(class_count));
  for (std::size_t i = labels.size(); i > 1; --i) std::swap(labels[i - 1], labels[random.below(i)]);
  for (const std::int64_t label : labels) {
    const Scene scene = make_scene(random, static_cast<std::size_t>(label));
    for (std::size_t i = 0; i < side * side; ++i) {
      const Vec2 corner{static_cast<float>(i % side), static_cast<float>(i / side)};
      const Colour colour = render_pixel(scene, corner - Vec2{31.5F, 31.5F});
      for (const float value : {colour.r, colour.g, colour.b}) {
        const float exposed = std::clamp(value + random.normal(0.01F), 0.0F, 1.0F);
        pixels.push_back(static_cast<std::uint8_t>(exposed * 255.0F + 0.5F));
      }
    }
  }
  return signs;
}

}  // namespace examples
