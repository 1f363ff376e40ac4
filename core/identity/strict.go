package identity

import (
	"bytes"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"
)

// maxEncoded bounds what a decoder of this package looks at, in bytes. The
// largest honest value is a hybrid key of 1216 bytes with its signature.
const maxEncoded = 2048

var errNotCanonical = errors.New("not the one encoding of its value")

// unmarshalStrict decodes raw into m and accepts only the encoding that this
// package writes: no unknown or repeated field, none out of order, no
// trailing bytes, no overlong number. So equal values have equal bytes, and
// nothing can hide beside the known fields.
func unmarshalStrict(raw []byte, m proto.Message) error {
	if len(raw) > maxEncoded {
		return fmt.Errorf("%d bytes, at most %d", len(raw), maxEncoded)
	}
	if err := proto.Unmarshal(raw, m); err != nil {
		return err
	}
	again, err := marshalStrict(m)
	if err != nil {
		return err
	}
	if len(m.ProtoReflect().GetUnknown()) != 0 || !bytes.Equal(raw, again) {
		return errNotCanonical
	}
	return nil
}

func marshalStrict(m proto.Message) ([]byte, error) {
	return proto.MarshalOptions{Deterministic: true}.Marshal(m)
}
