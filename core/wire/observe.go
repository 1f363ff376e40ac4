package wire

import (
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Observer is told what happens, for an operator's figures. Its fields may be
// nil. They are called often and must return at once.
type Observer struct {
	// Call is told of every call when it has been answered or has ended
	// without an answer.
	Call func(Call)
	// Push is told of every push that was taken, with its frame's length.
	Push func(event qpcv1.EventType, bytes int)
}

// Call is one call in figures. It says nothing of who made it.
type Call struct {
	// Method is nil where it is unknown.
	Method *Method
	// Code is the error that was answered; ERROR_CODE_UNSPECIFIED: none.
	Code qpcv1.ErrorCode
	// Ended tells that the caller was gone before the answer.
	Ended bool
	// Took is how long the handler worked, which no slow client can stretch; 0
	// where it was not reached.
	Took time.Duration
	// Received and Sent are the payloads' lengths in bytes.
	Received, Sent int
}
