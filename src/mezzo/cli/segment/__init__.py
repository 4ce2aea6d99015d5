"""`mezzo segment`: masks of the objects of photos with SAM 2, from a checkpoint."""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import mezzo
from mezzo.cli.segment import overlay, photos, prompts, report, run, save, serve
from mezzo.errors import MezzoError

_PATH = click.Path(path_type=Path)
_ONLY_EVERYTHING = ("points_per_side", "min_score", "min_stability", "crops", "min_region")


@click.command()
@click.argument("images", nargs=-1, type=_PATH)
@click.option(
    "--checkpoint",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Weights of SAM 2.1: the official .pt, or .safetensors.",
)
@click.option("--config", help="Config by name or path.  [default: guessed from the weights]")
@click.option(
    "--dtype",
    type=click.Choice(run.DTYPES),
    default="auto",
    show_default=True,
    help="auto: bf16 where the processor multiplies it itself, else fp32.",
)
@click.option(
    "--point",
    "points",
    type=prompts.Point(),
    multiple=True,
    help="A pixel on the object (+, or nothing) or beside it (-); may be repeated.",
)
@click.option("--box", type=prompts.Box(), help="A box around the object, in pixels.")
@click.option("--everything", is_flag=True, help="Segment all there is, without a prompt.")
@click.option("--out", type=_PATH, help="The picture; of several photos, a folder.")
@click.option(
    "--masks",
    "masks_out",
    type=_PATH,
    help=".npz, or .json (COCO); of several photos, a folder or .json.",
)
@click.option("--compare", is_flag=True, help="Run fp32 beside --dtype and compare masks and cost.")
@click.option("--points-per-side", type=click.IntRange(1), help="Of the grid.  [default: 32]")
@click.option("--min-score", type=click.FloatRange(0, 1), help="[default: 0.8]")
@click.option("--min-stability", type=click.FloatRange(0, 1), help="[default: 0.95]")
@click.option("--crops", type=click.IntRange(0, 4), help="Layers of crops.  [default: 0]")
@click.option(
    "--min-region", type=click.IntRange(0), help="Fill and drop smaller regions.  [default: 0]"
)
@click.option("--serve", "serving", is_flag=True, help="A page to click on, instead of files.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Where --serve listens.")
@click.option("--port", type=click.IntRange(0, 65535), default=8321, show_default=True)
@click.option("--threads", type=click.IntRange(1), help="Worker threads.  [default: all cores]")
def command(images, checkpoint, config, dtype, points, box, everything, out, masks_out, compare,
            serving, host, port, threads, **fine) -> None:  # fmt: skip
    """Segment photos with SAM 2: by points, by a box, or everything in them.

    IMAGES are files and folders. Examples:

    \b
      mezzo segment cat.jpg --checkpoint sam2.1_hiera_large.pt --point 320,210 --out cat.png
      mezzo segment photos/ --checkpoint sam2.1_hiera_tiny.pt --everything --out masks/ --masks coco.json
      mezzo segment --serve --checkpoint sam2.1_hiera_tiny.pt
    """
    if threads is not None:
        mezzo.set_num_threads(threads)
    chosen = run.choose_dtype(dtype)
    if serving:
        if images or points or box or everything or out or masks_out or compare:
            raise click.UsageError(
                "--serve takes its photos and prompts from the page: leave out images, --point, --box, "
                "--everything, --out, --masks and --compare."
            )
        serve.check(host)
        model, name = run.open_model(checkpoint, config, chosen)
        serve.serve(Console(), model, name, chosen, host, port)
        return
    prompt = _prompt(points, box, everything, fine)
    if compare and chosen == "fp32":
        raise click.UsageError(
            "--compare runs fp32 beside a low precision: choose --dtype bf16 or --dtype fp16."
        )
    if not images:
        raise click.UsageError("no image: name one or more files or folders, or use --serve.")
    if out is None and masks_out is None:
        raise click.UsageError("nowhere to write: give --out PICTURE, --masks FILE, or both.")
    paths = photos.gather(images)
    batch = len(paths) > 1 or images[0].is_dir()
    save.check_targets(paths, out, masks_out, batch)
    photos.check(paths, prompt.points, prompt.box)
    console = Console()
    with console.status("reading the checkpoint"):
        models = {}
        for each in ("fp32", chosen) if compare else (chosen,):
            models[each], name = run.open_model(checkpoint, config, each)
    console.print(f"{name} from {checkpoint}", soft_wrap=True, highlight=False)
    work = Work(console, models, prompt, chosen)
    try:
        work.all(paths, _targets(paths, out, ".png", batch), masks_out, batch)
    except (MezzoError, OSError) as problem:  # no memory left, a disk that is full or gone
        raise click.ClickException(str(problem)) from None


def _prompt(points, box, everything: bool, fine: dict) -> run.Prompt:
    """The prompt of the options, or a UsageError that says what a prompt is."""
    if everything and (points or box):
        raise click.UsageError(
            "--everything takes no prompt: leave out --point and --box, or --everything."
        )
    if not everything:
        given = [f"--{name.replace('_', '-')}" for name in fine if fine[name] is not None]
        if given:
            raise click.UsageError(f"{', '.join(given)}: only with --everything.")
        if not points and box is None:
            raise click.UsageError(
                "no prompt: say which object you mean with --point x,y (a pixel on it) or --box "
                "x0,y0,x1,y1 (around it), or ask for --everything."
            )
        if box is None and not any(label for *_, label in points):
            raise click.UsageError(
                "--point: every point lies beside the object; give one that lies on it as well."
            )
    names = {
        "points_per_side": "points_per_side",
        "min_score": "pred_iou_thresh",
        "min_stability": "stability_score_thresh",
        "crops": "crop_n_layers",
        "min_region": "min_mask_region_area",
    }
    options = {names[name]: value for name, value in fine.items() if value is not None}
    return run.Prompt(points, box, everything, options)


def _targets(paths: list[Path], out: Path | None, suffix: str, batch: bool) -> list[Path | None]:
    """Where the result of each photo goes."""
    if out is None:
        return [None] * len(paths)
    return [out / f"{name}{suffix}" for name in save.names(paths)] if batch else [out]


class Work:
    """The photos of one call, segmented one after the other.

    models: by precision; fp32 as well as `dtype` if the two are to be compared.
    """

    def __init__(self, console: Console, models: dict, prompt: run.Prompt, dtype: str):
        self.console, self.models, self.prompt, self.dtype = console, models, prompt, dtype

    def all(
        self, paths: list[Path], pictures: list[Path | None], masks: Path | None, batch: bool
    ) -> None:
        """Segment, write and report every photo."""
        as_coco = masks is not None and masks.suffix.lower() == ".json"
        arrays = [None] * len(paths) if as_coco else _targets(paths, masks, ".npz", batch)
        outcomes = []
        for number, (path, picture, array) in enumerate(zip(paths, pictures, arrays), 1):
            photo = photos.read(path)
            outcome = self.one(path, photo, f"{number}/{len(paths)} " if batch else "")
            if picture is not None:
                picture.parent.mkdir(exist_ok=True)
                save.picture(self.picture(photo, outcome), picture)
            if array is not None:
                array.parent.mkdir(exist_ok=True)
                save.arrays(outcome, array)
            report.show(self.console, outcome, self.dtype)
            if not outcomes:
                self.console.print(report.dtypes(outcome, self.dtype))
            outcomes.append(outcome)
        if masks is not None and as_coco:
            save.coco(outcomes, masks)
        for written in sorted(
            {str(p) for p in (*pictures, *arrays, masks if as_coco else None) if p}
        ):
            self.console.print(f"wrote {written}", soft_wrap=True, highlight=False)

    def one(self, path: Path, photo, place: str = "") -> run.Outcome:
        """Segment one photo, in fp32 as well if the two are compared."""
        if len(self.models) == 1:
            return self.watched(path, photo, self.dtype, place)
        found = {}
        for dtype in self.models:  # once to compile kernels, once to measure
            found[dtype] = [self.watched(path, photo, dtype, place) for _ in range(2)][-1]
        self.console.print(report.comparison(found["fp32"], found[self.dtype], self.dtype))
        return found[self.dtype]

    def watched(self, path: Path, photo, dtype: str, place: str) -> run.Outcome:
        """Segment one photo in a precision, under a progress bar."""
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        quiet = not self.console.is_terminal
        with Progress(*columns, console=self.console, transient=True, disable=quiet) as progress:
            task = progress.add_task(f"{place}{path.name} in {dtype}", total=run.STEPS)

            def advance(done: int, total: int) -> None:
                progress.update(task, completed=done, total=total)

            return run.segment(self.models[dtype], path, photo, self.prompt, dtype, advance)

    def picture(self, photo, outcome: run.Outcome):
        """The photo with the best mask of a prompt, or with everything."""
        shown = outcome.masks if self.prompt.everything else outcome.masks[:1]
        return overlay.draw(
            photos.as_bytes(photo),
            (found.mask for found in shown),
            self.prompt.points,
            self.prompt.box,
            dim=None if self.prompt.everything else shown[0].mask,
        )
