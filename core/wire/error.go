package wire

import (
	"errors"
	"fmt"
	"time"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Error is a typed failure that travels in a response. Handlers return it, and
// Call returns it where the server sent one. Programs decide by Code; Message
// is a sentence for a person.
type Error struct {
	Code       qpcv1.ErrorCode
	Message    string
	RetryAfter time.Duration     // 0 where it does not apply; milliseconds on the wire
	Stale      *qpcv1.StaleEpoch // only with ERROR_CODE_STALE_EPOCH
	Vault      uint64            // the version that is there; only with ERROR_CODE_VAULT_CONFLICT
}

// NewError makes an Error without further details.
func NewError(code qpcv1.ErrorCode, message string) *Error {
	return &Error{Code: code, Message: message}
}

func (e *Error) Error() string {
	if e.Message == "" {
		return e.Code.String()
	}
	return e.Code.String() + ": " + e.Message
}

// CodeOf returns the code of the [Error] in err's tree, or
// ERROR_CODE_UNSPECIFIED where there is none.
func CodeOf(err error) qpcv1.ErrorCode {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return qpcv1.ErrorCode_ERROR_CODE_UNSPECIFIED
}

// Proto is e as it travels, such as in the outcome of one of several.
func (e *Error) Proto() *qpcv1.Error {
	return &qpcv1.Error{
		Code:         e.Code,
		Message:      e.Message,
		RetryAfterMs: uint64(max(0, e.RetryAfter.Milliseconds())),
		StaleEpoch:   e.Stale,
		VaultVersion: e.Vault,
	}
}

// maxRetryAfter bounds what a server can make a client wait.
const maxRetryAfter = 24 * time.Hour

// ErrorFromProto is what the other side meant with m.
func ErrorFromProto(m *qpcv1.Error) *Error {
	e := &Error{Code: m.GetCode(), Message: m.GetMessage(), Stale: m.GetStaleEpoch(), Vault: m.GetVaultVersion()}
	if e.Code == qpcv1.ErrorCode_ERROR_CODE_UNSPECIFIED {
		e.Code = qpcv1.ErrorCode_ERROR_CODE_INTERNAL
	}
	ms := min(m.GetRetryAfterMs(), uint64(maxRetryAfter/time.Millisecond))
	e.RetryAfter = time.Duration(ms) * time.Millisecond
	return e
}

// Failures of a frame. ReadRequest, ReadResponse and ReadPush wrap them.
var (
	// ErrTruncated: the stream ended inside a frame.
	ErrTruncated = errors.New("wire: truncated frame")
	// ErrTooLarge: the payload is larger than the method or the frame allows.
	ErrTooLarge = errors.New("wire: payload too large")
	// ErrTrailing: bytes follow the one frame of a stream.
	ErrTrailing = errors.New("wire: trailing bytes after the frame")
	// ErrUnknownStatus: a response has a status other than OK and error.
	ErrUnknownStatus = errors.New("wire: unknown response status")
	// ErrWrongRequest: a response answers another request id.
	ErrWrongRequest = errors.New("wire: response to another request")
	// ErrUnknownMethod: the method table has no such method.
	ErrUnknownMethod = errors.New("wire: unknown method")
	// ErrMalformed: a payload is not the protobuf message that it should be.
	ErrMalformed = errors.New("wire: malformed payload")
)

// Failures of a connection.
var (
	// ErrUnreachable: no server answered at the link's address in time. Try again later.
	ErrUnreachable = errors.New("wire: server unreachable")
	// ErrPinMismatch: the server's key is not the one that the link pins. Somebody
	// else answers at this address, or the server has a new key. Do not retry.
	ErrPinMismatch = errors.New("wire: server key does not match the pin")
	// ErrUntrusted: the link has no pin and the server's certificate is not
	// publicly trusted for its name.
	ErrUntrusted = errors.New("wire: server certificate is not trusted")
	// ErrIncompatible: something answers that does not speak this protocol.
	ErrIncompatible = errors.New("wire: not a compatible server")
	// ErrClosed: the connection is gone. Every [ClosedError] matches it.
	ErrClosed = errors.New("wire: connection closed")
	// ErrSlowPeer: a client does not read its pushes fast enough.
	ErrSlowPeer = errors.New("wire: peer reads too slowly")
)

// CloseCode is the QUIC application error code of a closed connection.
type CloseCode uint64

// The codes that this package closes connections with.
const (
	CloseNormal    CloseCode = 0 // by the program that called Close
	CloseMalformed CloseCode = 1 // too many malformed frames, or a malformed push
	CloseSlow      CloseCode = 2 // the client did not read its pushes
	// CloseGoodbye is the first of the codes that repeat a Goodbye's reason:
	// CloseGoodbye + reason.
	CloseGoodbye CloseCode = 0x100
)

// ClosedError says why a connection is gone. It matches ErrClosed.
type ClosedError struct {
	// Code is the sender's; CloseNormal also where the network was lost.
	Code CloseCode
	// Goodbye is the server's announced reason, or REASON_UNSPECIFIED.
	Goodbye qpcv1.Goodbye_Reason
	// Remote tells that the other side closed it, and not this one or the network.
	Remote bool
	cause  error
}

func (e *ClosedError) Error() string {
	switch {
	case e.Goodbye != qpcv1.Goodbye_REASON_UNSPECIFIED:
		return fmt.Sprintf("%v: %v", ErrClosed, e.Goodbye)
	case e.Remote:
		return fmt.Sprintf("%v by the other side, code %d", ErrClosed, e.Code)
	case e.cause != nil:
		return fmt.Sprintf("%v: %v", ErrClosed, e.cause)
	}
	return ErrClosed.Error()
}

// Is makes every ClosedError match [ErrClosed], and one with [CloseSlow]
// [ErrSlowPeer] too.
func (e *ClosedError) Is(target error) bool {
	return target == ErrClosed || target == ErrSlowPeer && e.Code == CloseSlow
}

// Unwrap gives the transport's error, such as an idle timeout.
func (e *ClosedError) Unwrap() error { return e.cause }
