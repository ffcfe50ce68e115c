/* SPDX-License-Identifier: MIT */
/* SPDX-FileCopyrightText: The qcow2 reader authors */
/*
 * Keeps what is written to a disk in memory, for boot loaders that must write to start: boot
 * counting, a random seed, GRUB's environment. Nothing reaches the image.
 *
 * Memory is kept in pieces of one page, in an array that is sorted by their position. A piece that
 * is written in part is filled from the disk first, so that a read needs only one look at it.
 */
#include "uefi.h"

enum { PIECE_LEN = EFI_PAGE_SIZE, PIECE_BITS = 12 };

struct qu_piece {
	uint64_t number;              /* its position on the disk, in pieces */
	EFI_PHYSICAL_ADDRESS address; /* of its bytes */
};

static uint8_t *piece_bytes(const struct qu_piece *piece)
{
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): AllocatePages returns a number. */
	return (uint8_t *)(uintptr_t)piece->address;
}

bool qu_overlay_open(struct qu_overlay *overlay, const struct qcow2_io *below)
{
	overlay->pieces = qu_alloc(QU_PIECES_MAX * sizeof *overlay->pieces);
	overlay->n_pieces = 0;
	memcpy(&overlay->below, below, sizeof *below);
	return overlay->pieces != NULL;
}

void qu_overlay_close(struct qu_overlay *overlay)
{
	uint32_t i;

	for (i = 0; i < overlay->n_pieces; i++) {
		(void)qu_boot->FreePages(overlay->pieces[i].address, 1);
		qu_count(0, PIECE_LEN);
	}
	qu_free(overlay->pieces);
	overlay->pieces = NULL;
	overlay->n_pieces = 0;
}

/* The index of the first piece whose number is not below this one. */
static uint32_t find_piece(const struct qu_overlay *overlay, uint64_t number)
{
	uint32_t first = 0, end = overlay->n_pieces;

	while (first < end) {
		uint32_t middle = first + (end - first) / 2u;

		if (overlay->pieces[middle].number < number)
			first = middle + 1u;
		else
			end = middle;
	}
	return first;
}

void qu_overlay_read(const struct qu_overlay *overlay, uint64_t off, uint8_t *buf, size_t len)
{
	uint32_t i;

	for (i = find_piece(overlay, off >> PIECE_BITS); i < overlay->n_pieces; i++) {
		const struct qu_piece *piece = &overlay->pieces[i];
		uint64_t start = piece->number << PIECE_BITS;
		size_t skip = start < off ? (size_t)(off - start) : 0u;
		size_t n = PIECE_LEN - skip;

		if (start > off && start - off >= len)
			break;
		if (start > off) {
			size_t at = (size_t)(start - off);

			memcpy(buf + at, piece_bytes(piece), len - at < n ? len - at : n);
		} else {
			memcpy(buf, piece_bytes(piece) + skip, len < n ? len : n);
		}
	}
}

/* Adds a piece at index i, with the bytes of the disk unless the caller replaces all of them. */
static EFI_STATUS add_piece(struct qu_overlay *overlay, uint32_t i, uint64_t number, bool is_whole)
{
	struct qu_piece piece;
	uint32_t k;

	piece.number = number;
	if (overlay->n_pieces == QU_PIECES_MAX ||
	    EFI_ERROR(qu_boot->AllocatePages(AllocateAnyPages, EfiBootServicesData, 1,
	                                     &piece.address)))
		return EFI_OUT_OF_RESOURCES;
	if (!is_whole && overlay->below.ops->read(overlay->below.ctx, number << PIECE_BITS,
	                                          piece_bytes(&piece), PIECE_LEN) != 0) {
		(void)qu_boot->FreePages(piece.address, 1);
		return EFI_DEVICE_ERROR;
	}
	qu_count(PIECE_LEN, 0);
	for (k = overlay->n_pieces; k > i; k--)
		memcpy(&overlay->pieces[k], &overlay->pieces[k - 1u], sizeof piece);
	memcpy(&overlay->pieces[i], &piece, sizeof piece);
	overlay->n_pieces++;
	return EFI_SUCCESS;
}

EFI_STATUS qu_overlay_write(struct qu_overlay *overlay, uint64_t off, const uint8_t *buf,
                            size_t len)
{
	while (len > 0u) {
		size_t at = (size_t)off & (PIECE_LEN - 1u);
		size_t n = len < PIECE_LEN - at ? len : PIECE_LEN - at;
		uint64_t number = off >> PIECE_BITS;
		uint32_t i = find_piece(overlay, number);

		if (i == overlay->n_pieces || overlay->pieces[i].number != number) {
			EFI_STATUS status = add_piece(overlay, i, number, n == PIECE_LEN);

			if (EFI_ERROR(status))
				return status;
		}
		memcpy(piece_bytes(&overlay->pieces[i]) + at, buf, n);
		off += n;
		buf += n;
		len -= n;
	}
	return EFI_SUCCESS;
}
