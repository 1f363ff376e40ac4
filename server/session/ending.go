package session

import (
	"errors"

	"quicprochat/core/identity"
	qpcv1 "quicprochat/proto/qpc/v1"
)

// Ending says which connections end: those of an account, or that of a device.
// The other of the two ids is zero.
type Ending struct {
	Account identity.AccountID
	Device  identity.DeviceID
	Reason  qpcv1.Goodbye_Reason
}

// Relay takes an ending to the other nodes, which give it to [Registry.Ended].
// It does not block, and may fail: what tells a node that it missed an ending
// is the store.
type Relay interface {
	Relay(Ending)
}

// EndingSize is that of an encoded Ending, in bytes.
const EndingSize = len(identity.AccountID{}) + len(identity.DeviceID{}) + 1

// ErrEnding is returned for bytes that are no ending.
var ErrEnding = errors.New("session: not an ending")

// Marshal encodes an ending for another node.
func (e Ending) Marshal() []byte {
	b := make([]byte, 0, EndingSize)
	b = append(b, e.Account[:]...)
	b = append(b, e.Device[:]...)
	return append(b, byte(e.Reason))
}

// ParseEnding decodes an ending; ErrEnding.
func ParseEnding(b []byte) (e Ending, err error) {
	if len(b) != EndingSize {
		return Ending{}, ErrEnding
	}
	b = b[copy(e.Account[:], b):]
	b = b[copy(e.Device[:], b):]
	e.Reason = qpcv1.Goodbye_Reason(b[0])
	_, known := qpcv1.Goodbye_Reason_name[int32(e.Reason)]
	if !known || e.Reason == qpcv1.Goodbye_REASON_UNSPECIFIED || (e.Account == identity.AccountID{}) == (e.Device == identity.DeviceID{}) {
		return Ending{}, ErrEnding
	}
	return e, nil
}
