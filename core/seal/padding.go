package seal

import (
	"errors"
	"math/bits"
)

// Floor is the least length in bytes to which Seal pads.
const Floor = 256

// padMark ends the content; zeros follow it (ISO/IEC 7816-4).
const padMark = 0x80

// ErrPadding says that bytes do not end as [Pad] ends them.
var ErrPadding = errors.New("seal: invalid padding")

// PadmeLen rounds n up so that only its leading bits remain: about log2(log2 n)
// bits of a length show, and it grows by at most 12 % (Nikitin et al., "Reducing
// Metadata Leakage from Encrypted Files and Communication with PURBs", §4).
// Lengths below 2 stay.
func PadmeLen(n int) int {
	if n < 2 {
		return n
	}
	e := bits.Len(uint(n)) - 1
	s := bits.Len(uint(e))
	mask := 1<<(e-s) - 1
	return (n + mask) &^ mask
}

// Pad returns a copy of b with a mark and zeros behind it, PadmeLen of
// len(b)+1 bytes long and no shorter than PadmeLen(floor).
func Pad(b []byte, floor int) []byte {
	out := make([]byte, PadmeLen(max(len(b)+1, floor)))
	copy(out, b)
	out[len(b)] = padMark
	return out
}

// Unpad returns what Pad was given, as part of b, or ErrPadding. It takes time
// that depends on the padding, so b must be authenticated.
func Unpad(b []byte) ([]byte, error) {
	for i := len(b) - 1; i >= 0; i-- {
		switch b[i] {
		case 0:
		case padMark:
			return b[:i:i], nil
		default:
			return nil, ErrPadding
		}
	}
	return nil, ErrPadding
}
