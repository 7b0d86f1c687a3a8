"""Which images a number was measured on: a short hash that changes with any file of a category."""

import hashlib

from anomaly_lib.data.folder import Category


def data_hash(category: Category) -> str:
    """First 16 hex digits of the SHA-256 of all images and masks of a category, with their paths in it."""
    digest = hashlib.sha256()
    for sample in (*category.train, *category.test, *category.uncertain):
        for file in (sample.path, sample.mask_path):
            if file is not None:
                digest.update(f"{file.relative_to(category.folder).as_posix()}\n".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]
