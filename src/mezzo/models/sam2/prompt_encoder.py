"""Prompts as embeddings: points and boxes as tokens, masks as an image."""

from __future__ import annotations

import mezzo
from mezzo import nn
from mezzo.models.sam2.layers import LayerNorm2d
from mezzo.models.sam2.positions import PositionEmbeddingRandom

PADDING, BACKGROUND, FOREGROUND, TOP_LEFT, BOTTOM_RIGHT = -1, 0, 1, 2, 3  # labels of points


class PromptEncoder(nn.Module):
    """Prompts in pixels of the model's input image as embeddings.

    Labels of points: 1 on the object, 0 beside it, 2 and 3 the corners of a box, -1 padding.
    """

    def __init__(
        self,
        embed_dim: int,
        image_embedding_size: tuple[int, int],
        input_image_size: tuple[int, int],
        mask_in_chans: int,
        activation=nn.GELU,
    ):
        super().__init__()
        self.embed_dim = embed_dim
        self.input_image_size = input_image_size
        self.image_embedding_size = image_embedding_size
        self.pe_layer = PositionEmbeddingRandom(embed_dim // 2)
        self.num_point_embeddings = 4
        self.point_embeddings = nn.ModuleList(
            [nn.Embedding(1, embed_dim) for _ in range(self.num_point_embeddings)]
        )
        self.not_a_point_embed = nn.Embedding(1, embed_dim)
        self.mask_input_size = tuple(4 * n for n in image_embedding_size)
        few = mask_in_chans // 4
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, few, kernel_size=2, stride=2),
            LayerNorm2d(few),
            activation(),
            nn.Conv2d(few, mask_in_chans, kernel_size=2, stride=2),
            LayerNorm2d(mask_in_chans),
            activation(),
            nn.Conv2d(mask_in_chans, embed_dim, kernel_size=1),
        )
        self.no_mask_embed = nn.Embedding(1, embed_dim)

    def get_dense_pe(self):
        """(1, embed_dim, h, w): the position of every pixel of the image embedding."""
        return self.pe_layer(self.image_embedding_size).unsqueeze(0)

    def _embed_points(self, points, labels, pad: bool):
        """(b, n, 2) and (b, n) -> (b, n, embed_dim); pad: one more point, which is none."""
        points = points + 0.5  # the centre of a pixel
        if pad:
            count = points.shape[0]
            points = mezzo.cat((points, points.new_zeros(count, 1, 2)), dim=1)
            labels = mezzo.cat((labels, labels.new_full((count, 1), PADDING)), dim=1)
        placed = self.pe_layer.forward_with_coords(points, self.input_image_size)
        labels = labels.unsqueeze(-1)
        found = mezzo.where(labels == PADDING, self.not_a_point_embed.weight, placed)
        for label, kind in enumerate(self.point_embeddings):
            found = mezzo.where(labels == label, found + kind.weight, found)
        return found

    def _embed_boxes(self, boxes):
        """(b, 4) -> (b, 2, embed_dim): the two corners."""
        corners = self.pe_layer.forward_with_coords(
            (boxes + 0.5).reshape(-1, 2, 2), self.input_image_size
        )
        kinds = [self.point_embeddings[i].weight for i in (TOP_LEFT, BOTTOM_RIGHT)]
        return corners + mezzo.cat(kinds)

    def forward(self, points, boxes, masks):
        """Sparse (b, n, embed_dim) and dense (b, embed_dim, h, w) embeddings of prompts, each of which may be None.

        points: (coordinates (b, n, 2), labels (b, n)); boxes (b, 4); masks (b, 1, 4 h, 4 w) logits
        """
        given = [x for x in (None if points is None else points[0], boxes, masks) if x is not None]
        batch = given[0].shape[0] if given else 1
        weight = self.no_mask_embed.weight
        sparse = [weight.new_empty((batch, 0, self.embed_dim))]
        if points is not None:
            sparse.append(self._embed_points(*points, pad=boxes is None))
        if boxes is not None:
            sparse.append(self._embed_boxes(boxes))
        if masks is not None:
            return mezzo.cat(sparse, dim=1), self.mask_downscaling(masks)
        dense = weight.reshape(1, -1, 1, 1).expand(batch, -1, *self.image_embedding_size)
        return mezzo.cat(sparse, dim=1), dense
