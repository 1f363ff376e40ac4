package wire

import (
	"context"
	"errors"
	"os"

	"github.com/quic-go/quic-go"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Codes of reset streams. The other side needs none of them to go on.
const (
	streamCancelled quic.StreamErrorCode = 1 // the caller gave up
	streamRefused   quic.StreamErrorCode = 2 // the rest of a request is not wanted
)

// quic-go prints a warning to standard error where the system's UDP buffers
// are small. It works all the same, and a person who started a desktop program
// cannot act on it.
func init() {
	const variable = "QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING"
	if _, set := os.LookupEnv(variable); !set {
		_ = os.Setenv(variable, "true")
	}
}

// closedError tells why a connection whose context has ended is gone.
func closedError(conn *quic.Conn) *ClosedError {
	return closedBy(context.Cause(conn.Context()))
}

// closedBy turns a transport's last error into a ClosedError.
func closedBy(cause error) *ClosedError {
	e := &ClosedError{cause: cause}
	if app, ok := errors.AsType[*quic.ApplicationError](cause); ok {
		e.Code, e.Remote = CloseCode(app.ErrorCode), app.Remote
		if reason := e.Code - CloseGoodbye; e.Code > CloseGoodbye && reason <= 0xff {
			e.Goodbye = qpcv1.Goodbye_Reason(reason)
		}
	}
	return e
}
