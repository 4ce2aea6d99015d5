"""Objects followed through a video: prompts on some frames, masks on all."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

import mezzo
from mezzo.errors import ArgumentTypeError, ArgumentValueError, MezzoError, OutOfRangeError
from mezzo.models.sam2 import prompts, tracking
from mezzo.models.sam2.components import small_parts
from mezzo.models.sam2.sam2_image_predictor import CLAMP
from mezzo.models.sam2.tracking import NO_OBJ_SCORE, Features, Output, Outputs, Tracker
from mezzo.models.sam2.video_frames import Frames
from mezzo.nn import functional as F

WHAT_IS_A_PROMPT = (
    "a prompt says which object is meant: points=[[x, y]] with labels=[1] (0: not this), or "
    "box=[x0, y0, x1, y1]. For a mask call add_new_mask."
)
FILLED = 0.1  # the logit of pixels of holes that are filled
CORNERS = [[2, 3]]  # the labels of a box's two points


class NothingToTrackError(MezzoError, RuntimeError):
    """Tracking was asked for before any prompt was given."""


class UnknownObjectError(ArgumentValueError, RuntimeError):
    """An object id that nobody introduced."""


@dataclass
class Track:
    """One object: its prompts by frame, what was found, and how.

    points: (coordinates (1, n, 2), labels (1, n)); masks (1, 1, s, s). kept: what memory attention sees; fresh: answers
    to prompts since the last propagation. backwards: for every tracked frame, whether time ran so.
    """

    points: dict[int, tuple] = field(default_factory=dict)
    masks: dict[int, mezzo.Tensor] = field(default_factory=dict)
    kept: Outputs = field(default_factory=Outputs)
    fresh: Outputs = field(default_factory=Outputs)
    backwards: dict[int, bool] = field(default_factory=dict)


class SAM2VideoPredictor(Tracker):
    """Follows objects through a video with SAM 2.

        predictor = build_sam2_video_predictor("configs/sam2.1/sam2.1_hiera_l.yaml", "sam2.1_hiera_large.pt")
        with mezzo.inference_mode(), mezzo.autocast("cpu", dtype=mezzo.bfloat16):
            state = predictor.init_state("frames/")
            predictor.add_new_points_or_box(state, frame_idx=0, obj_id=1, points=[[210, 350]], labels=[1])
            for frame, ids, logits in predictor.propagate_in_video(state):
                masks = logits > 0  # (objects, 1, height, width)

    fill_hole_area: holes of at most so many pixels (of the low resolution mask) are filled.
    non_overlap_masks: where masks overlap, the surest object has the pixel.
    clear_non_cond_mem_around_input: a correction makes the memories of the frames around it be forgotten.
    add_all_frames_to_correct_as_cond: corrected frames count as prompted ones, not as tracked ones.
    Everything else is SAM2Base's.

    Source: sam2.sam2_video_predictor.SAM2VideoPredictor
    """

    def __init__(
        self,
        fill_hole_area: float = 0,
        non_overlap_masks: bool = False,
        clear_non_cond_mem_around_input: bool = False,
        add_all_frames_to_correct_as_cond: bool = False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.fill_hole_area, self.non_overlap_masks = fill_hole_area, non_overlap_masks
        self.clear_non_cond_mem_around_input = clear_non_cond_mem_around_input
        self.add_all_frames_to_correct_as_cond = add_all_frames_to_correct_as_cond

    # ---- state

    @mezzo.inference_mode()
    def init_state(
        self,
        video_path,
        offload_video_to_cpu: bool = False,
        offload_state_to_cpu: bool = False,
        async_loading_frames: bool = False,
    ) -> dict:
        """The state of a session with one video: every other method takes it first.

        video_path: a folder of JPEG files named by number; an MP4 file, by path or as bytes (with PyAV: pip install
            'mezzo[video]'); a list of images (arrays, Pillow images, paths); or an array (frames, height, width, 3).
        offload_video_to_cpu: taken for compatibility; frames always wait on the CPU, in 8 bits.
        offload_state_to_cpu: keep memories and masks on the CPU, whatever device the model is on.
        async_loading_frames: return after the first frame is read, and read the others in a thread (not of MP4 files).

        The entries num_frames, video_height, video_width and obj_ids of the state are for users.
        Raises: ValueError and RuntimeError for no frames, odd names or sizes; NotImplementedError for other kinds of files
        """
        images = Frames(video_path, self.image_size, async_loading_frames)
        device = self.device
        state = {
            "images": images,
            "num_frames": len(images),
            "video_height": images.height,
            "video_width": images.width,
            "offload_video_to_cpu": offload_video_to_cpu,
            "offload_state_to_cpu": offload_state_to_cpu,
            "device": device,
            "storage_device": mezzo.device("cpu") if offload_state_to_cpu else device,
            "cached_features": {},
            "constants": {},
            "obj_ids": [],
            "tracks": {},
        }
        self._features(state, 0)  # most prompts are about the first frame
        return state

    @mezzo.inference_mode()
    def reset_state(self, inference_state: dict) -> None:
        """Forget all objects; the video stays."""
        _tracks(inference_state, "reset_state").clear()
        inference_state["obj_ids"].clear()

    def _features(self, state: dict, frame: int) -> Features:
        """What the image encoder makes of a frame; that of the latest frame is kept."""
        cached = state["cached_features"]
        if frame not in cached:
            image = state["images"][frame].to(state["device"])
            found = self.encode_frame(image[None])
            cached.clear()
            cached[frame] = found
        return cached[frame]

    # ---- prompts

    @mezzo.inference_mode()
    def add_new_points_or_box(
        self,
        inference_state: dict,
        frame_idx: int,
        obj_id,
        points=None,
        labels=None,
        clear_old_points: bool = True,
        normalize_coords: bool = True,
        box=None,
    ):
        """Say by points or a box where an object is in a frame: (frame_idx, object ids, masks of all objects).

        obj_id: any hashable name; a new one introduces an object.
        points: (n, 2) as x, y in pixels of the video; labels: (n,), 1 on the object, 0 beside it.
        box: (4,) as x0, y0, x1, y1. clear_old_points: forget the frame's earlier points, rather than add to them.
        normalize_coords: coordinates are pixels; False: they lie between 0 and 1.
        Shapes: masks (objects, 1, video_height, video_width) float32, logits: above 0 is the object
        Raises: ValueError for prompts that are none or do not fit; IndexError for a frame that is not there
        """
        who = "add_new_points_or_box"
        tracks = _tracks(inference_state, who)
        frame = _frame(inference_state, frame_idx, who)
        size = inference_state["video_height"], inference_state["video_width"]
        new = self._read_prompt(points, labels, box, clear_old_points, size, normalize_coords)
        new = tuple(x.to(inference_state["device"]) for x in new)
        track = self._track(inference_state, tracks, obj_id)
        old = None if clear_old_points else track.points.get(frame)
        if old is not None:
            new = tuple(mezzo.cat(pair, dim=1) for pair in zip(old, new))
        track.points[frame] = new
        track.masks.pop(frame, None)
        earlier = self._earlier_logits(inference_state, track, frame)
        cond = self._answer(inference_state, track, frame, points=new, earlier_logits=earlier)
        return self._frame_result(inference_state, frame, cond)

    def add_new_points(self, *args, **kwargs):
        """add_new_points_or_box under its older name."""
        return self.add_new_points_or_box(*args, **kwargs)

    def _read_prompt(self, points, labels, box, clear: bool, size: tuple, pixels: bool) -> tuple:
        """Points (1, n, 2) in pixels of the model's input and labels (1, n); a box is two points."""
        asked = prompts.Asked("add_new_points_or_box", WHAT_IS_A_PROMPT, "points", "labels")
        if points is None and labels is not None:
            raise prompts.PromptError(f"{asked.who}: got labels without points; {asked.hint}")
        if points is None and box is None:
            raise prompts.PromptError(f"{asked.who}: got neither points nor box; {asked.hint}")
        found = []
        if box is not None:
            if not clear:
                raise prompts.PromptError(
                    f"{asked.who}: a box comes before all points of its frame, and clear_old_points=False "
                    "keeps earlier ones; pass clear_old_points=True with a box."
                )
            corners = prompts.read_boxes(box, size, pixels, asked).reshape(-1, 2, 2)
            found.append((corners, mezzo.tensor(CORNERS, dtype=mezzo.int32)))
        if points is not None:
            coords, marks = prompts.read_points(points, labels, asked)
            prompts.check_inside(coords, size, pixels, asked.points, asked)
            found.append((coords, marks))
        for coords, _ in found:
            if coords.shape[0] != 1:
                raise prompts.PromptError(
                    f"{asked.who}: got {coords.shape[0]} prompts at once; give those of one object, and call "
                    "again with another obj_id for the next."
                )
        coords, marks = (mezzo.cat(xs, dim=1) for xs in zip(*found))
        if pixels:
            coords = coords / mezzo.tensor([size[1], size[0]], dtype=mezzo.float32)
        return coords * self.image_size, marks

    @mezzo.inference_mode()
    def add_new_mask(self, inference_state: dict, frame_idx: int, obj_id, mask):
        """Say by a mask where an object is in a frame: (frame_idx, object ids, masks of all objects).

        mask: (h, w) of any size, of the video's as a rule: bool, or numbers that are not 0 on the object.
        Returns and raises: as add_new_points_or_box
        """
        tracks = _tracks(inference_state, "add_new_mask")
        frame = _frame(inference_state, frame_idx, "add_new_mask")
        given = self._read_mask(mask).to(inference_state["device"])
        track = self._track(inference_state, tracks, obj_id)
        track.masks[frame] = given
        track.points.pop(frame, None)
        cond = self._answer(inference_state, track, frame, masks=given)
        return self._frame_result(inference_state, frame, cond)

    def _read_mask(self, mask):
        """A mask as (1, 1, s, s) float32 of 0 and 1 at the model's resolution."""
        asked = prompts.Asked("add_new_mask", "a mask is (height, width), bool.")
        found = prompts.read_numbers(mask, "mask", asked)
        if found.ndim != 2 or not found.numel():
            raise prompts.PromptError(
                f"add_new_mask: mask has shape {tuple(found.shape)}; it must be (height, width), the mask of "
                "one object in one frame."
            )
        found = (found != 0).float()[None, None]
        size = (self.image_size, self.image_size)
        if tuple(found.shape[-2:]) == size:
            return found
        found = F.interpolate(found, size, mode="bilinear", align_corners=False, antialias=True)
        return (found >= 0.5).float()

    def _track(self, state: dict, tracks: dict, obj_id) -> Track:
        """An object's track; a new object gets one."""
        try:
            track = tracks.get(obj_id)
        except TypeError:
            raise ArgumentTypeError(
                f"obj_id is a {type(obj_id).__name__}; it must be hashable, as an int or a str."
            ) from None
        if track is None:
            track = tracks[obj_id] = Track()
            state["obj_ids"] = list(tracks)
        return track

    def _earlier_logits(self, state: dict, track: Track, frame: int):
        """The latest mask of a frame (1, 1, ...), which new points correct; None if there is none."""
        fresh = track.fresh.cond if self._is_cond(track, frame) else track.fresh.other
        output = fresh.get(frame) or track.kept.of(frame)
        if output is None:
            return None
        return output.pred_masks.to(state["device"]).clamp(-CLAMP, CLAMP)

    @staticmethod
    def _is_first(track: Track, frame: int) -> bool:
        """Whether a prompt stands alone; else it corrects what was tracked from another frame's prompt."""
        return frame not in track.backwards or not track.kept.cond

    def _is_cond(self, track: Track, frame: int) -> bool:
        """Whether a prompt makes this a prompted frame, rather than a tracked one that is corrected."""
        return self._is_first(track, frame) or self.add_all_frames_to_correct_as_cond

    def _answer(self, state: dict, track: Track, frame: int, **prompt) -> bool:
        """Predict a frame from its prompt; whether it is now a prompted frame.

        The memory is encoded later, when all prompts are given.
        """
        found = self.track_step(
            frame,
            self._features(state, frame),
            track.kept,
            state["num_frames"],
            first=self._is_first(track, frame),
            reverse=track.backwards.get(frame, False),
            **prompt,
        )
        cond = self._is_cond(track, frame)
        fresh = track.fresh.cond if cond else track.fresh.other
        fresh[frame] = self._compact(state, found)
        return cond

    def _compact(self, state: dict, found: tracking.Prediction) -> Output:
        """What is kept of a prediction, its holes filled."""
        masks = self._filled(found.low_res_masks).to(state["storage_device"])
        return Output(masks, found.obj_ptr, found.object_score_logits)

    def _filled(self, masks):
        """Logits (b, 1, h, w) with small holes filled."""
        if self.fill_hole_area <= 0:
            return masks
        logits = masks.cpu().numpy()
        holes = np.stack([small_parts(m <= 0, self.fill_hole_area) for m in logits[:, 0]])
        if not holes.any():
            return masks
        return mezzo.where(mezzo.from_numpy(holes[:, None]).to(masks.device), FILLED, masks)

    @mezzo.inference_mode()
    def clear_all_prompts_in_frame(
        self, inference_state: dict, frame_idx: int, obj_id, need_output: bool = True
    ):
        """Forget an object's prompts in a frame: (frame_idx, object ids, masks), or None without need_output.

        Raises: RuntimeError for an object that is not there; IndexError for such a frame
        """
        who = "clear_all_prompts_in_frame"
        tracks = _tracks(inference_state, who)
        frame = _frame(inference_state, frame_idx, who)
        if obj_id not in tracks:
            raise _unknown(who, obj_id, tracks)
        self._clear(tracks[obj_id], frame)
        return self._frame_result(inference_state, frame) if need_output else None

    @staticmethod
    def _clear(track: Track, frame: int) -> None:
        """Without its prompts a frame is a tracked one at most."""
        for prompted in (track.points, track.masks, track.fresh.cond, track.fresh.other):
            prompted.pop(frame, None)
        output = track.kept.cond.pop(frame, None)
        if output is not None:
            track.kept.other[frame] = output
            track.backwards.pop(frame, None)

    @mezzo.inference_mode()
    def remove_object(
        self, inference_state: dict, obj_id, strict: bool = False, need_output: bool = True
    ):
        """Forget an object: (ids that are left, [(frame, masks)] of the frames in which it had prompts).

        strict: raise RuntimeError if there is no such object. need_output: False leaves the list empty.
        """
        tracks = _tracks(inference_state, "remove_object")
        if obj_id not in tracks:
            if strict:
                raise _unknown("remove_object", obj_id, tracks)
            return list(tracks), []
        gone = tracks.pop(obj_id)
        inference_state["obj_ids"] = list(tracks)
        if not tracks or not need_output:
            return list(tracks), []
        frames = sorted({*gone.points, *gone.masks})
        return list(tracks), [(t, self._frame_result(inference_state, t)[2]) for t in frames]

    # ---- results

    def _frame_result(self, state: dict, frame: int, cond: bool | None = None):
        """(frame, object ids, logits of all objects at the video's size), whatever is known of them.

        cond: whether the newest answers looked for are those of prompted or of corrected frames.
        """
        tracks = state["tracks"].values()
        if cond is None:
            cond = any(frame in track.fresh.cond for track in tracks)
        size = state["video_height"], state["video_width"]
        device, found = state["device"], []
        for track in tracks:
            fresh = track.fresh.cond if cond else track.fresh.other
            output = fresh.get(frame) or track.kept.of(frame)
            if output is None:
                found.append(mezzo.full((1, 1, *size), NO_OBJ_SCORE, device=device))
            else:
                found.append(self._video_size(state, output.pred_masks.to(device)))
        return frame, list(state["obj_ids"]), self._separate(mezzo.cat(found))

    @staticmethod
    def _video_size(state: dict, logits):
        """Logits (b, 1, ...) as (b, 1, video_height, video_width)"""
        size = state["video_height"], state["video_width"]
        if tuple(logits.shape[-2:]) == size:
            return logits
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)

    def _separate(self, logits):
        return tracking.without_overlaps(logits) if self.non_overlap_masks else logits

    # ---- propagation

    def propagate_in_video(
        self,
        inference_state: dict,
        start_frame_idx: int | None = None,
        max_frame_num_to_track: int | None = None,
        reverse: bool = False,
    ):
        """Follow every object through the video: a generator of (frame, object ids, masks).

        start_frame_idx: the first frame with a prompt, unless given. max_frame_num_to_track: how many frames to go
        beyond it; all, unless given. reverse: towards the beginning.
        Shapes: masks (objects, 1, video_height, video_width) float32, logits: above 0 is the object
        Raises: RuntimeError if an object has no prompt; IndexError for a frame that is not there
        """
        tracks = _tracks(inference_state, "propagate_in_video")
        last = inference_state["num_frames"] - 1
        for obj_id, track in tracks.items():
            if not (track.kept.cond or track.fresh.cond):
                raise NothingToTrackError(
                    f"propagate_in_video: object {obj_id!r} has no prompt; call add_new_points_or_box or "
                    "add_new_mask for it, or remove_object."
                )
        if not tracks:
            raise NothingToTrackError(
                "propagate_in_video: no object has a prompt; call add_new_points_or_box or add_new_mask first."
            )
        start, count = start_frame_idx, max_frame_num_to_track
        if start is None:
            start = min(t for k in tracks.values() for t in (*k.kept.cond, *k.fresh.cond))
        start = _frame(inference_state, start, "propagate_in_video", "start_frame_idx")
        count = last + 1 if count is None else count
        if reverse:
            order = range(start, max(start - count, 0) - 1, -1) if start > 0 else range(0)
        else:
            order = range(start, min(start + count, last) + 1)
        return self._propagate(inference_state, order, reverse)

    @mezzo.inference_mode()
    def _propagate(self, state: dict, order: range, reverse: bool):
        for track in state["tracks"].values():
            self._settle(state, track)
        for frame in order:
            found = []
            for track in state["tracks"].values():
                if frame not in track.kept.cond:
                    self._follow(state, track, frame, reverse)
                elif self.clear_non_cond_mem_around_input:
                    self._forget_around(track, frame)
                track.backwards[frame] = reverse
                found.append(track.kept.of(frame).pred_masks.to(state["device"]))
            logits = self._separate(self._video_size(state, mezzo.cat(found)))
            yield frame, list(state["obj_ids"]), logits

    @mezzo.inference_mode()
    def propagate_in_video_preflight(self, inference_state: dict) -> None:
        """Encode the memories of the frames that got prompts; propagate_in_video does it by itself."""
        for track in _tracks(inference_state, "propagate_in_video_preflight").values():
            self._settle(inference_state, track)

    def _settle(self, state: dict, track: Track) -> None:
        """Move the answers to prompts to what is kept, with their memories."""
        for fresh, kept in (
            (track.fresh.other, track.kept.other),
            (track.fresh.cond, track.kept.cond),
        ):
            for frame, output in fresh.items():
                high = self._full_size(output.pred_masks.to(state["device"]))
                self._remember(state, frame, output, high, clicked=True)
                kept[frame] = output
                if self.clear_non_cond_mem_around_input:
                    self._forget_around(track, frame)
            fresh.clear()
        for frame in track.kept.cond:
            track.kept.other.pop(frame, None)

    def _follow(self, state: dict, track: Track, frame: int, reverse: bool) -> None:
        """Predict a frame without prompts, and remember it."""
        found = self.track_step(
            frame,
            self._features(state, frame),
            track.kept,
            state["num_frames"],
            first=False,
            reverse=reverse,
        )
        output = self._compact(state, found)
        self._remember(state, frame, output, found.high_res_masks, clicked=False)
        track.kept.other[frame] = output

    def _remember(self, state: dict, frame: int, output: Output, high, clicked: bool) -> None:
        """Encode the memory of a frame whose mask at the model's resolution is `high`."""
        if not self.num_maskmem:
            return
        features = self._features(state, frame)
        memory, places = self.encode_memory(features, high, output.object_score_logits, clicked)
        output.maskmem_features = memory.to(mezzo.bfloat16).to(state["storage_device"])
        # Positions are the same in every frame: one copy serves all.
        output.maskmem_pos_enc = state["constants"].setdefault("maskmem_pos_enc", places)

    def _forget_around(self, track: Track, frame: int) -> None:
        """Forget the tracked frames near one that was corrected: they show the object as it was not."""
        reach = self.memory_temporal_stride_for_eval * self.num_maskmem
        for near in [t for t in track.kept.other if 0 < abs(t - frame) <= reach]:
            track.kept.other.pop(near)


def _tracks(state, who: str) -> dict:
    """The tracks of a state, by object id."""
    if not isinstance(state, dict) or "tracks" not in state:
        raise ArgumentTypeError(
            f"{who}: inference_state is a {type(state).__name__}; it must be what init_state returned."
        )
    return state["tracks"]


def _frame(state: dict, frame, who: str, name: str = "frame_idx") -> int:
    """A frame's index, checked."""
    count = state["num_frames"]
    if isinstance(frame, bool) or not hasattr(frame, "__index__"):
        raise ArgumentTypeError(
            f"{who}: {name} is {frame!r} ({type(frame).__name__}); it must be an int, from 0 to {count - 1}."
        )
    if not 0 <= int(frame) < count:
        raise OutOfRangeError(
            f"{who}: {name} is {int(frame)}, and the video has {count} frames; it must be from 0 to "
            f"{count - 1}."
        )
    return int(frame)


def _unknown(who: str, obj_id, tracks: dict) -> UnknownObjectError:
    known = ", ".join(map(repr, tracks)) or "none"
    return UnknownObjectError(
        f"{who}: there is no object {obj_id!r}; the objects are: {known}. Objects are introduced by "
        "add_new_points_or_box and add_new_mask."
    )
