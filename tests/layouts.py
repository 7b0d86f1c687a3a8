"""Miniatures of the public layouts, generated: 48 pixels, a bright square is the defect, every image another one."""

import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

SIZE = 48
TRAIN, GOOD, BAD = 8, 3, 3
"""Images of a miniature category in train, of test good, and of each type of defect."""


class Miniature:
    """Writes images of one data set below ``root``; the drawn numbers go on from file to file."""

    def __init__(self, root: Path):
        self.root = root
        self.rng = np.random.default_rng(0)

    def good(self, folder: str, count: int, suffix: str = ".png", name: str = "{:03d}") -> None:
        """Normal images NAME.suffix, numbered from 000."""
        for index in range(count):
            self._save(self._noise(), f"{folder}/{name.format(index)}{suffix}")

    def bad(self, folder: str, masks: str | None, count: int, suffix: str = ".png", value: int = 255) -> None:
        """Images with a bright square; ``masks`` is the pattern of their masks' places, "{}" the image's name."""
        for index in range(count):
            image, mask = self._noise(), np.zeros((SIZE, SIZE), np.uint8)
            top, left = self.rng.integers(4, 30, 2)
            image[top : top + 12, left : left + 12] = 250
            mask[top : top + 12, left : left + 12] = value
            self._save(image, f"{folder}/{index:03d}{suffix}")
            if masks:
                self._save(mask, masks.format(f"{index:03d}"))

    def text(self, file: str, content: str) -> None:
        """A text file."""
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        (self.root / file).write_text(content)

    def _noise(self) -> np.ndarray:
        return self.rng.normal(110, 12, (SIZE, SIZE, 3)).clip(0, 255).astype(np.uint8)

    def _save(self, pixels: np.ndarray, file: str) -> None:
        (self.root / file).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(self.root / file)


def mvtec(root: Path) -> None:
    """MVTec AD: two categories, one with two types of defect."""
    mini = Miniature(root)
    for category, kinds in (("bottle", ("broken_large", "contamination")), ("grid", ("bent",))):
        mini.good(f"{category}/train/good", TRAIN)
        mini.good(f"{category}/test/good", GOOD)
        for kind in kinds:
            mini.bad(f"{category}/test/{kind}", f"{category}/ground_truth/{kind}/{{}}_mask.png", BAD)
    mini.text("license.txt", "as it came")


def mvtec_ad_2(root: Path) -> None:
    """MVTec AD 2: one category with its private test sets."""
    mini = Miniature(root)
    mini.good("can/train/good", TRAIN)
    mini.good("can/validation/good", 2)
    mini.good("can/test_public/good", GOOD)
    mini.bad("can/test_public/bad", "can/test_public/ground_truth/bad/{}_mask.png", BAD)
    mini.good("can/test_private", 2)
    mini.good("can/test_private_mixed", 2)


def mvtec_loco(root: Path) -> None:
    """MVTec LOCO AD: masks in a folder an image, two of them for the logical anomalies."""
    mini = Miniature(root)
    mini.good("pushpins/train/good", TRAIN)
    mini.good("pushpins/validation/good", 2)
    mini.good("pushpins/test/good", GOOD)
    mini.bad(
        "pushpins/test/structural_anomalies", "pushpins/ground_truth/structural_anomalies/{}/000.png", BAD, value=7
    )
    mini.bad("pushpins/test/logical_anomalies", "pushpins/ground_truth/logical_anomalies/{}/000.png", BAD, value=3)
    for index in range(BAD):
        mask = np.zeros((SIZE, SIZE), np.uint8)
        mask[:3, :3] = 200
        Image.fromarray(mask).save(root / f"pushpins/ground_truth/logical_anomalies/{index:03d}/001.png")


def visa(root: Path) -> None:
    """VisA: JPEG images with upper-case suffixes, masks of class 1, the split as a table."""
    mini, data = Miniature(root), "candle/Data"
    mini.good(f"{data}/Images/Normal", TRAIN + GOOD, ".JPG", "{:04d}")
    mini.bad(f"{data}/Images/Anomaly", f"{data}/Masks/Anomaly/{{}}.png", BAD, ".JPG", value=1)
    rows = ["object,split,label,image,mask"]
    for index in range(TRAIN + GOOD):
        split = "train" if index < TRAIN else "test"
        rows.append(f"candle,{split},normal,{data}/Images/Normal/{index:04d}.JPG,")
    for index in range(BAD):
        files = f"{data}/Images/Anomaly/{index:03d}.JPG,{data}/Masks/Anomaly/{index:03d}.png"
        rows.append(f"candle,test,anomaly,{files}")
    mini.text("split_csv/1cls.csv", "\n".join(rows) + "\n")


def btad(root: Path) -> None:
    """BTAD: in 01 the images are BMP and the masks PNG, in 03 both are BMP."""
    mini = Miniature(root)
    for category, image, mask in (("01", ".bmp", ".png"), ("03", ".bmp", ".bmp")):
        mini.good(f"{category}/train/ok", TRAIN, image)
        mini.good(f"{category}/test/ok", GOOD, image)
        mini.bad(f"{category}/test/ko", f"{category}/ground_truth/ko/{{}}{mask}", BAD, image)


def dtd(root: Path) -> None:
    """DTD: two classes."""
    mini = Miniature(root)
    for name in ("banded", "woven"):
        mini.good(f"images/{name}", 3, ".jpg", f"{name}_{{:04d}}")
    mini.text("labels/train1.txt", "banded/banded_0000.jpg\n")


def elpv(root: Path) -> None:
    """ELPV: sixteen cells of each type in all four classes."""
    mini = Miniature(root)
    mini.good("images", 32, ".png", "cell{:04d}")
    values = [0.0] * 10 + [1 / 3, 1 / 3, 2 / 3, 1.0, 1.0, 1.0]
    rows = [
        f"images/cell{index:04d}.png  {values[index % 16]} {'mono' if index < 16 else 'poly'}" for index in range(32)
    ]
    mini.text("labels.csv", "\n".join(rows) + "\n")


LAYOUTS = {
    "mvtec": mvtec,
    "mvtec_ad_2": mvtec_ad_2,
    "mvtec_loco": mvtec_loco,
    "visa": visa,
    "btad": btad,
    "dtd": dtd,
    "elpv": elpv,
}


def archive(folder: Path, file: Path) -> Path:
    """The folder as a tar archive, in one folder of its own name."""
    with tarfile.open(file, "w:gz" if file.suffix == ".gz" else "w") as stream:
        stream.add(folder, folder.name)
    return file


def tree(folder: Path) -> dict[str, bytes]:
    """{path: content} of all files."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
