package mls

// HandshakePolicy says how a client frames its proposals and commits (RFC 9420
// §6.2, §6.3), and what it takes of other members. Encrypted handshake messages
// are always taken, and those of senders outside of the group are public always.
type HandshakePolicy uint8

const (
	// HandshakesPrivate, the default: encrypted alone. A member's public one is
	// refused with ErrPublicHandshake.
	HandshakesPrivate HandshakePolicy = iota
	// HandshakesMixed sends encrypted ones and takes both.
	HandshakesMixed
	// HandshakesPublic sends public ones, which the delivery service can follow, and
	// takes both. A member's leaving can be committed by those who join by an
	// external commit where it is proposed in public.
	HandshakesPublic
)

// wireFormat is how own content of this type is framed.
func (p HandshakePolicy) wireFormat(typ contentType) uint16 {
	if p == HandshakesPublic && typ != contentApplication {
		return wirePublic
	}
	return wirePrivate
}
