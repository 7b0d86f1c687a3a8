"""The model card of a bundle, made of its record alone."""

from typing import Any

from anomaly_lib.export.bundle import LEVELS


def card(record: dict[str, Any]) -> str:
    """Markdown: what the model is, what it takes and gives, how it decides, and what it is not for."""
    size, thresholds = record["image_size"], record["thresholds"]
    meanings = {"map": "anomaly map, higher is more anomalous", "score": "image score"}
    outputs = "\n".join(
        f"| `{name}` | ({', '.join(map(str, shape))}) | {meanings.get(name, 'an intermediate picture of the method')} |"
        for name, shape in record["outputs"].items()
    )
    region = "confined to the category's region of interest" if record["region"] else "of the whole photo"
    image, pixel, zero = (_number(thresholds.get(level)) for level in LEVELS)
    asked, promised = (_number(thresholds.get(f"image_{kind}_rate")) for kind in ("requested", "expected"))
    return f"""# {record["title"]}, trained on {record["category"]}

{record["paper"]}. Exported by anomaly_lib {record["versions"]["anomaly-lib"]}, seed {record["seed"]}.

| | |
|---|---|
| input | `images`: (N, 3, {size}, {size}) float32, RGB in [0, 1] |
| a photo becomes that | squeezed to {size} x {size} pixels, bilinear with antialiasing, as Pillow does |
| model | digest `{record["digest"]}`, params `{record["params_hash"]}`, data `{record["data_hash"]}` |
| anomaly map | {region}; shown from 0 at {zero} to 1 at the pixel threshold |
| reference | {record["reference_images"]} images of that data, in `reference.npz` |

## How it decides

An image is **anomalous** when its score is {image} or more, else **normal**; a pixel when its value in the map is
{pixel} or more. Both thresholds come from {thresholds.get("held_out_images", 0)} normal images that the model was not
trained on, and from no anomaly. The rule for images is {thresholds.get("image_rule")}; the false-positive rate asked
for is {asked}, and so few images promise {promised}.

## Outputs

| name | shape | meaning |
|---|---|---|
{outputs}

## Limits

It knows normal parts of one kind, as they were photographed for its training: another camera, light, scale or pose
raises scores without a defect. Its score is no probability. It must not be the only check where a missed defect is
dangerous. How often it errs on test images stands in the report of the profile that trained it.

## Check and use

```
python -m anomaly_lib verify FOLDER
python -m anomaly_lib detect --bundle FOLDER PHOTOS --output OUT
```
"""


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.6g}"
