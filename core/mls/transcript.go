package mls

// confirmedHash advances the confirmed transcript hash by a commit (RFC 9420 §8.2).
func (s *suite) confirmedHash(interim []byte, c *authenticatedContent) []byte {
	w := writer{b: make([]byte, 0, len(c.content.body)+len(c.content.aad)+512)}
	w.raw(interim)
	w.u16(c.wireFormat)
	c.content.encode(&w)
	w.vec(c.signature)
	return s.digest(w.b)
}

// interimHash advances the interim transcript hash by the confirmation tag.
func (s *suite) interimHash(confirmed, confirmationTag []byte) []byte {
	var w writer
	w.raw(confirmed)
	w.vec(confirmationTag)
	return s.digest(w.b)
}
