package channel

import (
	"errors"
	"fmt"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/mint"
	"quicprochat/server/storage"
)

var (
	errMalformed = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "The request has a field that is missing or out of range.")
	errUnknown   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_CHANNEL, "There is no such channel here.")
	errExists    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CHANNEL_EXISTS, "Another channel has this id.")
	errFull      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_CHANNEL_FULL, "The group would have more devices than this server allows.")
	errSignature = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_BAD_SIGNATURE, "The signature does not verify under the key of this epoch.")
	errBatch     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A batch has 1 to 64 posts.")
	errTooLarge  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOO_LARGE, "A post has at most 1 MiB.")
	errNotTried  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_NOT_TRIED, "An earlier message to this conversation was not taken. This one comes after it.")
	errInternal  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_INTERNAL, "The server failed. Try again later.")
	errToken     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_TOKEN_MISSING, "An invitation takes a token, and there are not enough.")
	errAddress   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ADDRESS_INVALID, "A queue address was not made by this server.")
)

// storeError turns what the store says into what the caller is told.
func storeError(err error) error {
	if stale, ok := errors.AsType[*storage.StaleError](err); ok {
		detail := &qpcv1.StaleEpoch{CurrentEpoch: stale.Current}
		if stale.Winner != nil {
			detail.WinnerItemId = stale.Winner[:]
		}
		return &wire.Error{
			Code:    qpcv1.ErrorCode_ERROR_CODE_STALE_EPOCH,
			Message: "The channel is at another epoch.",
			Stale:   detail,
		}
	}
	switch {
	case errors.Is(err, storage.ErrUnknownChannel):
		return errUnknown
	case errors.Is(err, storage.ErrChannelExists):
		return errExists
	case errors.Is(err, storage.ErrChannelFull):
		return errFull
	case errors.Is(err, storage.ErrNotTried):
		return errNotTried
	case errors.Is(err, storage.ErrTokenSpent):
		return mint.ErrSpent
	case errors.Is(err, storage.ErrEpochRange):
		return errMalformed
	default:
		return fmt.Errorf("channel store: %w", err)
	}
}
