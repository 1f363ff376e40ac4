package opaque

import (
	"errors"
	"fmt"
)

var (
	// ErrAuthentication says that the other side did not prove itself. For a
	// client: wrong password, unknown user or a lying server, which cannot be
	// told apart. For a server: the client does not know the password.
	ErrAuthentication = errors.New("opaque: authentication failed")
	// ErrMalformed says that a message of the right length holds bytes that
	// encode no group element, or the identity element. Refuse the message.
	ErrMalformed = errors.New("opaque: malformed message")
	// ErrSpent says that Finish was called before on the same exchange. Start
	// a new one.
	ErrSpent = errors.New("opaque: this exchange is finished already")
	// ErrServerKeys says that server keys are damaged: the private key is no
	// scalar or zero.
	ErrServerKeys = errors.New("opaque: invalid server keys")
	// ErrNoKSF says that a client's Config has no key-stretching function.
	ErrNoKSF = errors.New("opaque: no key-stretching function")
)

// LengthError says that a message or parameter has a length that the protocol
// does not allow.
type LengthError struct {
	// What is the name of the message or parameter.
	What string
	// Got is its length in bytes.
	Got int
	// Want is the length that it must have, or the greatest one if AtMost.
	Want   int
	AtMost bool
}

func (e *LengthError) Error() string {
	if e.AtMost {
		return fmt.Sprintf("opaque: %s is %d bytes long, at most %d", e.What, e.Got, e.Want)
	}
	return fmt.Sprintf("opaque: %s is %d bytes long, not %d", e.What, e.Got, e.Want)
}

func checkLength(what string, b []byte, want int) error {
	if len(b) != want {
		return &LengthError{What: what, Got: len(b), Want: want}
	}
	return nil
}

// maxVector is the most that a two-byte length prefix can say.
const maxVector = 1<<16 - 1

func checkVector(what string, b []byte) error {
	if len(b) > maxVector {
		return &LengthError{What: what, Got: len(b), Want: maxVector, AtMost: true}
	}
	return nil
}
