package mls

// Variable-length integers of RFC 9000 §16 as RFC 9420 §2.1.2 restricts them:
// one, two or four bytes, always the shortest form.

const maxVarint = 1<<30 - 1

func varintLen(n int) int {
	switch {
	case n < 1<<6:
		return 1
	case n < 1<<14:
		return 2
	default:
		return 4
	}
}

// putVarint writes n into the first varintLen(n) bytes of b.
func putVarint(b []byte, n int) {
	switch varintLen(n) {
	case 1:
		b[0] = byte(n)
	case 2:
		b[0], b[1] = byte(n>>8)|0x40, byte(n)
	default:
		b[0], b[1], b[2], b[3] = byte(n>>24)|0x80, byte(n>>16), byte(n>>8), byte(n)
	}
}

// parseVarint returns the integer at the start of b and the bytes it took, or
// zero bytes where there is none in shortest form.
func parseVarint(b []byte) (n, size int) {
	if len(b) == 0 {
		return 0, 0
	}
	size = 1 << (b[0] >> 6)
	if size > 4 || len(b) < size {
		return 0, 0
	}
	n = int(b[0] & 0x3f)
	for _, c := range b[1:size] {
		n = n<<8 | int(c)
	}
	if varintLen(n) != size {
		return 0, 0
	}
	return n, size
}
