package moderation

import (
	"errors"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

var (
	errRole       = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED, "Only a moderator or an admin of this server can do this.")
	errForbidden  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ROLE_REQUIRED, "Moderators can ban users, admins everybody else, and nobody themselves.")
	errLastAdmin  = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_LAST_ADMIN, "This is the last admin of the server. Make somebody else an admin first.")
	errUnknown    = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_ACCOUNT, "There is no such account here.")
	errReport     = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_REPORT_INVALID, "The report does not prove that somebody here has sent this message.")
	errNoReport   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_UNKNOWN_REPORT, "There is no such report. It may have expired.")
	errID         = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "An account id has 16 bytes.")
	errNote       = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A note has at most 1000 bytes of text, without control characters.")
	errCategory   = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "There is no such category of reports.")
	errResolution = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "There is no such resolution of a report.")
	errUntil      = wire.NewError(qpcv1.ErrorCode_ERROR_CODE_MALFORMED, "A ban ends in the future, or not at all.")
)

// banError says to an operator why a ban was not made or lifted.
func banError(err error) error {
	for sentinel, answer := range map[error]*wire.Error{
		storage.ErrUnknownAccount: errUnknown,
		storage.ErrForbidden:      errForbidden,
		storage.ErrLastAdmin:      errLastAdmin,
	} {
		if errors.Is(err, sentinel) {
			return answer
		}
	}
	return err
}
