"""An object from frame to frame: masks from prompts and memories, and memories from masks.

Source: Ravi et al., "SAM 2: Segment Anything in Images and Videos" (2024)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import mezzo
from mezzo.models.sam2.base import SAM2Base
from mezzo.models.sam2.positions import frequencies
from mezzo.models.sam2.prompt_encoder import PADDING
from mezzo.nn import functional as F

NO_OBJ_SCORE = -1024.0  # the logit of every pixel where the object is not in the frame
SURE = 10.0  # plus and minus this are the logits of a mask that is given
TEMPERATURE = 10000.0  # of the sines that say how far away a pointer is


class Features(NamedTuple):
    """What the image encoder makes of a frame: maps (1, c, h, w), the finest first; the coarsest's positions."""

    maps: list
    positions: mezzo.Tensor


class Prediction(NamedTuple):
    """Masks (b, 1, ...) of one frame, as logits: at 1 / 4 of the model's resolution and in full.

    ious (b, m): predicted for every mask that was considered; obj_ptr (b, c); object_score_logits (b, 1):
    above 0 if the object is in the frame.
    """

    ious: mezzo.Tensor
    low_res_masks: mezzo.Tensor
    high_res_masks: mezzo.Tensor
    obj_ptr: mezzo.Tensor
    object_score_logits: mezzo.Tensor


@dataclass
class Output:
    """What is kept of an object in a frame.

    maskmem_features (b, mem_dim, h, w) and maskmem_pos_enc: the memory, None until it is encoded.
    """

    pred_masks: mezzo.Tensor
    obj_ptr: mezzo.Tensor
    object_score_logits: mezzo.Tensor
    maskmem_features: mezzo.Tensor | None = None
    maskmem_pos_enc: mezzo.Tensor | None = None


@dataclass
class Outputs:
    """Outputs by frame. cond: of frames with prompts; other: of frames that were tracked."""

    cond: dict[int, Output] = field(default_factory=dict)
    other: dict[int, Output] = field(default_factory=dict)

    def of(self, frame: int) -> Output | None:
        """The output of a frame, of whichever kind; None if there is none."""
        return self.cond.get(frame, self.other.get(frame))


def closest_frames(frame: int, outputs: dict, count: int) -> tuple[dict, dict]:
    """(chosen, left out): at most `count` entries near a frame, with one on either side if there is; -1: all."""
    if count == -1 or len(outputs) <= count:
        return outputs, {}
    if count < 2:
        raise ValueError(
            f"max_cond_frames_in_attn is {count}; it must be -1 (all) or at least 2, one frame on either "
            "side. Correct the config."
        )
    before = sorted(t for t in outputs if t < frame)
    after = sorted(t for t in outputs if t >= frame)
    chosen = before[-1:] + after[:1]
    rest = sorted((t for t in outputs if t not in chosen), key=lambda t: abs(t - frame))
    chosen += rest[: count - len(chosen)]
    return {t: outputs[t] for t in chosen}, {t: outputs[t] for t in outputs if t not in chosen}


def sine_positions(places, dim: int):
    """Numbers (n,) as sines and cosines (n, dim) of falling frequency."""
    angles = places[:, None] / frequencies(dim // 2, TEMPERATURE, places.device)
    return mezzo.cat((angles.sin(), angles.cos()), dim=-1)


def _tokens(x):
    """(b, c, h, w) -> (h w, b, c)"""
    return x.flatten(2).permute(2, 0, 1)


class Tracker(SAM2Base):
    """SAM 2 with the steps of tracking; what remembers prompts and outputs is above it."""

    # ---- masks

    def encode_frame(self, image) -> Features:
        """An image (1, 3, s, s), normalised, as the features that every object of the frame shares."""
        maps = self.image_maps(image)
        places = self.image_encoder.neck.position_encoding(maps[-1]).to(maps[-1].dtype)
        return Features(maps, places)

    def _mask_prompt(self, masks):
        """Mask logits at the size that the prompt encoder takes."""
        size = self.sam_prompt_encoder.mask_input_size
        if tuple(masks.shape[-2:]) == tuple(size):
            return masks
        return F.interpolate(
            masks.float(), size, mode="bilinear", align_corners=False, antialias=True
        )

    def sam_heads(self, features, fine: list, points, masks, multimask: bool) -> Prediction:
        """Features (b, c, h, w) and prompts -> the likeliest mask.

        fine: the finer feature maps; points: (coordinates (b, n, 2), labels (b, n)) or None; masks: logits
        (b, 1, ...) or None. multimask: choose among three by predicted IoU.
        """
        batch, device = features.shape[0], features.device
        if points is None:  # a prompt without points is one that is padding
            padding = mezzo.full((batch, 1), PADDING, dtype=mezzo.int32, device=device)
            points = mezzo.zeros((batch, 1, 2), device=device), padding
        sparse, dense = self.sam_prompt_encoder(
            points=points, boxes=None, masks=None if masks is None else self._mask_prompt(masks)
        )
        logits, ious, tokens, presence = self.sam_mask_decoder(
            image_embeddings=features,
            image_pe=self.sam_prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=multimask,
            repeat_image=False,
            high_res_features=fine or None,
        )
        if self.pred_obj_scores:
            logits = mezzo.where((presence > 0)[:, :, None, None], logits, NO_OBJ_SCORE)
        logits, token = logits.float(), tokens[:, 0]
        if multimask:
            rows, best = mezzo.arange(batch, device=device), ious.argmax(-1)
            logits = logits[rows, best].unsqueeze(1)
            token = tokens[rows, best] if tokens.shape[1] > 1 else token
        pointer = self._pointer(self.obj_ptr_proj(token), self._presence(presence))
        return Prediction(ious, logits, self._full_size(logits), pointer, presence)

    def _full_size(self, logits):
        """Logits at the resolution of the model's input."""
        size = (self.image_size, self.image_size)
        return F.interpolate(logits, size, mode="bilinear", align_corners=False)

    def _presence(self, object_score_logits):
        """How much of the object's own pointer counts: 1 where it is in the frame, or its probability."""
        if self.soft_no_obj_ptr:
            return object_score_logits.sigmoid()
        return (object_score_logits > 0).float()

    def _pointer(self, pointer, presence):
        """A pointer (b, c), mixed with the one for absence where presence (b, 1) is not 1."""
        if not (self.pred_obj_scores and self.use_obj_ptrs_in_encoder):
            return pointer
        if self.fixed_no_obj_ptr:
            pointer = presence * pointer
        return pointer + (1 - presence) * self.no_obj_ptr

    def mask_as_output(self, features, fine: list, masks) -> Prediction:
        """A given mask (b, 1, s, s) of 0 and 1 as the prediction; the decoder only makes its pointer."""
        high = masks.float() * (2 * SURE) - SURE
        size = tuple(n // 4 for n in high.shape[-2:])
        low = F.interpolate(high, size, mode="bilinear", align_corners=False, antialias=True)
        present = (masks.flatten(1) > 0).any(dim=1, keepdim=True).float()
        pointer = masks.new_zeros((masks.shape[0], self.hidden_dim))
        if self.use_obj_ptrs_in_encoder:
            small = self.mask_downsample(masks.float())
            pointer = self.sam_heads(features, fine, None, small, multimask=False).obj_ptr
            pointer = self._pointer(pointer, present)
        sure = masks.new_ones((masks.shape[0], 1))
        return Prediction(sure, low, high, pointer, present * (2 * SURE) - SURE)

    # ---- memories

    def _memories(self, frame: int, sign: int, chosen: dict, outputs: Outputs, left: dict) -> list:
        """(distance in time, output): of prompted frames, at distance 0, then of the frames just before.

        sign: -1 where time runs backwards.
        """
        found = [(0, output) for output in chosen.values()]
        stride = 1 if self.training else self.memory_temporal_stride_for_eval
        now = sign * frame
        for distance in range(self.num_maskmem - 1, 0, -1):
            at = now - 1
            if distance > 1:  # the frame just before always, of those further back every stride-th
                at = (now - 2) // stride * stride - (distance - 2) * stride
            output = outputs.other.get(sign * at, left.get(sign * at))
            if output is not None:
                found.append((distance, output))
        return found

    def _spatial_tokens(self, memories: list) -> tuple[list, list]:
        """Every memory as tokens (h w, b, mem_dim), and where and when they are."""
        device, tokens, places = self.device, [], []
        for distance, output in memories:
            when = self.maskmem_tpos_enc[distance - 1]  # distance 0 is the last entry
            tokens.append(_tokens(output.maskmem_features.to(device).float()))
            places.append(_tokens(output.maskmem_pos_enc.to(device)) + when)
        return tokens, places

    def _pointers(self, frame: int, sign: int, chosen: dict, outputs: Outputs, left: dict, most):
        """(how far back, pointer) of prompted frames and of the at most most - 1 frames before."""
        past_only = self.only_obj_ptrs_in_the_past_for_eval and not self.training
        found = []
        for t, output in chosen.items():
            back = (frame - t) * sign
            if back >= 0 or not past_only:
                signed = self.use_signed_tpos_enc_to_obj_ptrs
                found.append((back if signed else abs(back), output.obj_ptr))
        for back in range(1, most):
            t = frame - sign * back
            output = outputs.other.get(t, left.get(t))
            if output is not None:
                found.append((back, output.obj_ptr))
        return found

    def _pointer_tokens(self, pointers: list, most: int):
        """Pointers as tokens (n, b, mem_dim), each cut into hidden_dim / mem_dim; and when they are."""
        vectors = mezzo.stack([pointer for _, pointer in pointers])
        count, batch, _ = vectors.shape
        pieces = self.hidden_dim // self.mem_dim
        tokens = vectors.reshape(count, batch, pieces, self.mem_dim)
        tokens = tokens.permute(0, 2, 1, 3).flatten(0, 1)
        if not self.add_tpos_enc_to_obj_ptrs:
            return tokens, tokens.new_zeros(tokens.shape)
        back = [back / max(most - 1, 1) for back, _ in pointers]
        back = mezzo.tensor(back, dtype=mezzo.float32, device=vectors.device)
        dim = self.hidden_dim if self.proj_tpos_enc_in_obj_ptrs else self.mem_dim
        when = self.obj_ptr_tpos_proj(sine_positions(back, dim))
        when = when[:, None, None].expand(-1, pieces, batch, -1)
        return tokens, when.flatten(0, 1)

    def with_memories(self, frame: int, features: Features, outputs: Outputs, frames: int, reverse):
        """The coarsest features (b, c, h, w) of a frame after attention to what is remembered of an object.

        frames: how many the video has. reverse: time runs backwards.
        """
        coarse = features.maps[-1]
        if not self.num_maskmem:
            return coarse
        sign = -1 if reverse else 1
        chosen, left = closest_frames(frame, outputs.cond, self.max_cond_frames_in_attn)
        tokens, places = self._spatial_tokens(self._memories(frame, sign, chosen, outputs, left))
        pointers: list = []
        most = min(frames, self.max_obj_ptrs_in_encoder)
        if self.use_obj_ptrs_in_encoder:
            pointers = self._pointers(frame, sign, chosen, outputs, left, most)
        extra = 0
        if pointers:
            pointer_tokens, when = self._pointer_tokens(pointers, most)
            tokens.append(pointer_tokens)
            places.append(when)
            extra = pointer_tokens.shape[0]
        return self._attended(features, tokens, places, extra)

    def without_memories(self, features: Features):
        """The coarsest features (b, c, h, w) of a frame whose prompts stand alone."""
        coarse = features.maps[-1]
        if not self.num_maskmem:
            return coarse
        if self.directly_add_no_mem_embed:
            return coarse + self.no_mem_embed.reshape(1, -1, 1, 1)
        size = (1, coarse.shape[0], self.mem_dim)
        nothing = [self.no_mem_embed.expand(size)], [self.no_mem_pos_enc.expand(size)]
        return self._attended(features, *nothing, 0)

    def _attended(self, features: Features, tokens: list, places: list, extra: int):
        coarse = features.maps[-1]
        seen = self.memory_attention(
            curr=_tokens(coarse),
            curr_pos=_tokens(features.positions),
            memory=mezzo.cat(tokens),
            memory_pos=mezzo.cat(places),
            num_obj_ptr_tokens=extra,
        )
        return seen.permute(1, 2, 0).reshape(coarse.shape)

    def encode_memory(self, features: Features, high_res_masks, object_score_logits, clicked: bool):
        """A frame with its masks (b, 1, s, s) as a memory (b, mem_dim, h, w), and its positions.

        clicked: a person made the mask, which is then taken as certain if the config says so.
        """
        if self.non_overlap_masks_for_mem_enc and not self.training:
            high_res_masks = without_overlaps(high_res_masks)
        certain = self.binarize_mask_from_pts_for_mem_enc and clicked and not self.training
        masks = (high_res_masks > 0).float() if certain else high_res_masks.sigmoid()
        masks = masks * self.sigmoid_scale_for_mem_enc + self.sigmoid_bias_for_mem_enc
        found = self.memory_encoder(features.maps[-1], masks, skip_mask_sigmoid=True)
        memory, places = found["vision_features"], found["vision_pos_enc"][-1]
        if self.no_obj_embed_spatial is not None:
            absent = (object_score_logits <= 0).float()
            memory = memory + (absent * self.no_obj_embed_spatial)[:, :, None, None]
        return memory, places

    # ---- one step

    def track_step(
        self,
        frame: int,
        features: Features,
        outputs: Outputs,
        frames: int,
        first: bool,
        points=None,
        masks=None,
        earlier_logits=None,
        reverse: bool = False,
    ) -> Prediction:
        """An object's mask in a frame.

        outputs: what is remembered of the object; frames: how many the video has; first: the frame was not tracked
        yet, so its prompts stand alone. points: (coordinates (b, n, 2), labels (b, n)); masks: given (b, 1, s, s);
        earlier_logits: the mask that new points correct.
        """
        fine = features.maps[:-1]
        if masks is not None and self.use_mask_input_as_output_without_sam:
            return self.mask_as_output(features.maps[-1], fine, masks)
        if first:
            coarse = self.without_memories(features)
        else:
            coarse = self.with_memories(frame, features, outputs, frames, reverse)
        count = 0 if points is None else points[1].shape[1]
        multimask = (
            self.multimask_output_in_sam
            and (first or self.multimask_output_for_tracking)
            and self.multimask_min_pt_num <= count <= self.multimask_max_pt_num
        )
        prompt = masks if earlier_logits is None else earlier_logits
        return self.sam_heads(coarse, fine, points, prompt, multimask)


def without_overlaps(logits):
    """Mask logits (objects, 1, h, w) of which only the highest at a pixel may be above -10."""
    if logits.shape[0] == 1:
        return logits
    rows = mezzo.arange(logits.shape[0], device=logits.device)[:, None, None, None]
    best = logits.argmax(dim=0, keepdim=True) == rows
    return mezzo.where(best, logits, logits.clamp(max=-SURE))
