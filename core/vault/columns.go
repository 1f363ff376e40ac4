package vault

import (
	"fmt"
	"time"
)

// scanner is a row of a result.
type scanner interface{ Scan(dest ...any) error }

// id16 scans a 16-byte identifier; NULL is the zero one.
type id16 struct{ to *[16]byte }

func (d id16) Scan(src any) error {
	switch b := src.(type) {
	case nil:
		*d.to = [16]byte{}
	case []byte:
		if len(b) != 16 {
			return fmt.Errorf("%w: identifier of %d bytes", ErrCorrupt, len(b))
		}
		copy(d.to[:], b)
	default:
		return fmt.Errorf("%w: identifier stored as %T", ErrCorrupt, src)
	}
	return nil
}

// millis scans milliseconds since 1970; 0 is the zero time.
type millis struct{ to *time.Time }

func (d millis) Scan(src any) error {
	ms, ok := src.(int64)
	if !ok {
		return fmt.Errorf("%w: time stored as %T", ErrCorrupt, src)
	}
	*d.to = time.Time{}
	if ms != 0 {
		*d.to = time.UnixMilli(ms).UTC()
	}
	return nil
}

func toMillis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// blob keeps a nil slice from becoming NULL.
func blob(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

func scanBytes(row scanner) ([]byte, error) {
	var b []byte
	err := row.Scan(&b)
	return b, err
}

func scanInt(row scanner) (int64, error) {
	var n int64
	err := row.Scan(&n)
	return n, err
}

func scanID(row scanner) ([16]byte, error) {
	var id [16]byte
	err := row.Scan(id16{&id})
	return id, err
}
