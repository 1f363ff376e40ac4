package session

import (
	"time"

	"quicprochat/core/wire"
	qpcv1 "quicprochat/proto/qpc/v1"
	"quicprochat/server/storage"
)

// BannedError is what a banned account is told once it has proved who it is,
// and nobody else. ban is in force at now.
func BannedError(ban *storage.Ban, now time.Time) *wire.Error {
	e := wire.NewError(qpcv1.ErrorCode_ERROR_CODE_ACCOUNT_BANNED, "This account is banned from this server. Whoever runs the server can lift the ban.")
	if !ban.Until.IsZero() {
		e.Message = "This account is banned from this server until " + ban.Until.UTC().Format("2 January 2006, 15:04") + " UTC."
		e.RetryAfter = ban.Until.Sub(now)
	}
	return e
}
