package mls

import "math/bits"

const paddingFloor = 256

// paddedLen is Padmé over a floor of 256 bytes: at most 12 % more, and only
// O(log log n) bits about the length remain visible.
func paddedLen(n int) int {
	if n <= paddingFloor {
		return paddingFloor
	}
	e := bits.Len(uint(n)) - 1
	mask := 1<<(e-bits.Len(uint(e))) - 1
	return (n + mask) &^ mask
}
