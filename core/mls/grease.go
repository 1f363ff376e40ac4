package mls

import "crypto/rand"

// GREASE (RFC 9420 §13.5): ids that mean nothing, so that peers stay able to
// ignore what they do not know. A leaf keeps the ones it began with.

// isGREASE tells the fifteen ids reserved for this in every registry.
func isGREASE(id uint16) bool {
	return id&0x0f0f == 0x0a0a && id>>8 == id&0xff && id != 0xfafa
}

func randomGREASE() uint16 {
	var b [1]byte
	for b[0] = 0xf0; b[0] >= 0xf0; {
		rand.Read(b[:])
	}
	return 0x0a0a + 0x1010*uint16(b[0]%15)
}

// greased adds a random GREASE id to each list but the versions, for which
// none are reserved.
func (c Capabilities) greased() Capabilities {
	for _, list := range []*[]uint16{&c.Suites, &c.Extensions, &c.Proposals, &c.Credentials} {
		*list = append((*list)[:len(*list):len(*list)], randomGREASE())
	}
	return c
}

// greaseExtension has up to seven random bytes.
func greaseExtension(typ uint16) Extension {
	var b [8]byte
	rand.Read(b[:])
	return Extension{Type: typ, Data: b[1 : 1+b[0]&7]}
}

// greaseType returns the GREASE id among extension types, for extensions of the same
// leaf or KeyPackage: those of a leaf have to be listed.
func greaseType(extensions []uint16) uint16 {
	for _, t := range extensions {
		if isGREASE(t) {
			return t
		}
	}
	return randomGREASE()
}

// withGREASE appends a GREASE extension of this type unless the list has one.
func withGREASE(list []Extension, typ uint16) []Extension {
	if _, ok := findExtension(list, typ); ok {
		return list
	}
	return append(list, greaseExtension(typ))
}
