#!/usr/bin/env python3
"""seeds.py FOLDER: files as h5py, NumPy and Keras write them, to begin fuzzing with, in FOLDER/hdf5, npz,
safetensors and keras (there: the model_config alone). Without h5py it says so, and writes none."""
import json
import pathlib
import struct
import sys

try:
    import h5py
    import numpy as np
except ImportError:
    print("no h5py: only the seeds that weft itself writes")
    sys.exit(0)

folder = pathlib.Path(sys.argv[1])
rng = np.random.default_rng(1)


def place(kind, name):
    (folder / kind).mkdir(parents=True, exist_ok=True)
    return folder / kind / name


def plain():
    with h5py.File(place("hdf5", "contiguous.h5"), "w") as f:
        f["train_set_x"] = rng.integers(0, 255, (6, 4, 4, 3), np.uint8)
        f["train_set_y"] = np.arange(6)
        f["list_classes"] = np.array(["fist", "hand"], "S6")
        f["scalar"] = 1.5
        f["big"] = np.array([1, 2], ">f8")
        f["half"] = np.array([1, 2], np.float16)
        f["truth"] = np.array([True, False])
        f["text"] = "variable"
        f["pairs"] = np.zeros(2, [("a", "f4"), ("b", "i4")])
        f["x"] = h5py.Empty("f")
        f["train_set_x"].attrs["unit"] = "grey"
        f.attrs["names"] = ["a", "bc"]
        f.attrs["numbers"] = np.arange(4.0)


def chunked():
    for name, options in {
        "deflated.h5": {"compression": "gzip", "shuffle": True},
        "checked.h5": {"fletcher32": True, "compression": "gzip"},
        "growing.h5": {"maxshape": (None, 5)},
    }.items():
        with h5py.File(place("hdf5", name), "w") as f:
            f.create_dataset("train/x", data=rng.normal(size=(30, 5)), chunks=(8, 5), **options)
            f.create_dataset("train/y", data=np.arange(30, dtype=np.int32), chunks=(7,))
    with h5py.File(place("hdf5", "latest.h5"), "w", libver="latest") as f:
        f.create_dataset("x", data=np.arange(100), chunks=(10,), compression="gzip")
        for i in range(20):
            f.attrs[f"attribute {i}"] = i


def linked():
    with h5py.File(place("hdf5", "links.h5"), "w") as f:
        f["x"] = np.arange(3)
        f["soft"] = h5py.SoftLink("/x")
        f["ring_a"], f["ring_b"] = h5py.SoftLink("/ring_b"), h5py.SoftLink("/ring_a")
        f["out"] = h5py.ExternalLink("other.h5", "/x")
        group = f.create_group("group")
        group["again"] = group
        f.create_dataset("outside", (3,), "i8", external=[("other.raw", 0, 24)])
        layout = h5py.VirtualLayout((3,), "i8")
        layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
        f.create_virtual_dataset("virtual", layout)


def layer(kind, **config):
    return {"class_name": kind, "config": config}


LAYERS = [
    layer("Conv2D", name="c", batch_input_shape=[None, 4, 4, 2], trainable=True, dtype="float32", filters=2,
          kernel_size=[2, 2], strides=[1, 1], padding="same", data_format="channels_last",
          dilation_rate=[1, 1], groups=1, activation="relu", use_bias=True,
          kernel_initializer={"class_name": "GlorotUniform", "config": {"seed": None}}),
    layer("MaxPooling2D", name="p", pool_size=[2, 2], padding="valid", strides=[2, 2],
          data_format="channels_last"),
    layer("AveragePooling2D", name="q", pool_size=[1, 1], padding="same", strides=[1, 1]),
    layer("BatchNormalization", name="n", axis=[3], momentum=0.99, epsilon=0.001, center=True, scale=True),
    layer("ReLU", name="r", max_value=None, negative_slope=0.0, threshold=0.0),
    layer("Flatten", name="f"),
    layer("Dropout", name="o", rate=0.25, noise_shape=None, seed=None),
    layer("Dense", name="d", units=2, activation="linear", use_bias=True),
    layer("Activation", name="a", activation="tanh"),
    layer("Softmax", name="s", axis=-1),
]
CONFIG = json.dumps({"class_name": "Sequential", "config": {"name": "net", "layers": LAYERS}})


def keras():
    place("keras", "sequential.json").write_text(CONFIG)
    place("keras", "small.json").write_text(
        json.dumps({"class_name": "Sequential", "config": [LAYERS[0], LAYERS[5], LAYERS[7]]}))
    with h5py.File(place("hdf5", "keras.h5"), "w") as f:
        f.attrs["model_config"], f.attrs["backend"] = CONFIG.encode(), b"tensorflow"
        root = f.create_group("model_weights")
        shapes = {"c": {"kernel": (2, 2, 2, 2), "bias": (2,)},
                  "n": {k: (2,) for k in ("gamma", "beta", "moving_mean", "moving_variance")},
                  "d": {"kernel": (8, 2), "bias": (2,)}}
        names = [l["config"]["name"] for l in LAYERS]
        root.attrs["layer_names"] = [n.encode() for n in names]
        for name in names:
            group, weights = root.create_group(name), shapes.get(name, {})
            group.attrs["weight_names"] = [f"{name}/{k}:0".encode() for k in weights]
            for key, shape in weights.items():
                group[f"{name}/{key}:0"] = rng.uniform(0.5, 1, shape).astype(np.float32)


def npz():
    arrays = {"w": rng.normal(size=(3, 4)), "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
              "big": np.array([1, 2], ">i2"), "half": np.array([1.5], np.float16), "flag": np.array(True),
              "text": np.array(["x"]), "none": np.zeros((0, 2), np.float32)}
    np.savez(place("npz", "stored.npz"), **arrays)
    np.savez_compressed(place("npz", "deflated.npz"), **arrays)


def safetensors():
    header, data = {"__metadata__": {"format": "pt"}}, b""
    for name, dtype, code in (("f", "<f4", "F32"), ("h", "<f2", "F16"), ("i", "<i8", "I64"), ("b", "|b1", "BOOL")):
        bytes_ = np.ones((2, 3), dtype).tobytes()
        header[name] = {"dtype": code, "shape": [2, 3], "data_offsets": [len(data), len(data) + len(bytes_)]}
        data += bytes_
    for name, extra in (("plain", {}), ("many", {f"t{i}": {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
                                                for i in range(200)})):
        text = json.dumps({**header, **extra}).encode()
        text += b" " * (-len(text) % 8)
        place("safetensors", name).write_bytes(struct.pack("<Q", len(text)) + text + data)
    strings = b'{"a":[' + b'"",' * 60000 + b'""]}'  # what takes most memory for its size
    place("safetensors", "strings").write_bytes(struct.pack("<Q", len(strings)) + strings)


for write in (plain, chunked, linked, keras, npz, safetensors):
    write()
