package mls

import "crypto/rand"

// privateMessage is PrivateMessage of RFC 9420 §6.3.
type privateMessage struct {
	groupID    []byte
	epoch      uint64
	typ        contentType
	aad        []byte
	senderData []byte // encrypted
	ciphertext []byte
}

func (m *privateMessage) encode(w *writer) {
	w.vec(m.groupID)
	w.u64(m.epoch)
	w.u8(uint8(m.typ))
	w.vec(m.aad)
	w.vec(m.senderData)
	w.vec(m.ciphertext)
}

func readPrivateMessage(r *reader) *privateMessage {
	m := &privateMessage{
		groupID: r.vec(), epoch: r.u64(), typ: contentType(r.u8()), aad: r.vec(), senderData: r.vec(), ciphertext: r.vec(),
	}
	if r.err == nil && (m.typ < contentApplication || m.typ > contentCommit) {
		r.fail("bad content type %d", m.typ)
	}
	return m
}

// contentAAD is PrivateContentAAD.
func (m *privateMessage) contentAAD() []byte {
	w := writer{b: m.senderDataAAD()}
	w.vec(m.aad)
	return w.b
}

// senderDataAAD is SenderDataAAD.
func (m *privateMessage) senderDataAAD() []byte {
	var w writer
	w.vec(m.groupID)
	w.u64(m.epoch)
	w.u8(uint8(m.typ))
	return w.b
}

// senderData is SenderData of §6.3.2.
type senderData struct {
	leaf       LeafIndex
	generation uint32
	reuseGuard [4]byte
}

func (d senderData) encode(w *writer) {
	w.u32(uint32(d.leaf))
	w.u32(d.generation)
	w.raw(d.reuseGuard[:])
}

func readSenderData(r *reader) senderData {
	d := senderData{leaf: LeafIndex(r.u32()), generation: r.u32()}
	copy(d.reuseGuard[:], r.take(4))
	return d
}

// senderDataKey derives key and nonce from the start of the ciphertext.
func (s *suite) senderDataKey(secret, ciphertext []byte) (key, nonce []byte) {
	sample := ciphertext[:min(s.nh, len(ciphertext))]
	return s.expandWithLabel(secret, "key", sample, s.nk), s.expandWithLabel(secret, "nonce", sample, nn)
}

// guarded is the nonce under the reuse guard (§6.3.1).
func (d senderData) guarded(nonce []byte) []byte {
	out := make([]byte, len(nonce))
	copy(out, nonce)
	for i, b := range d.reuseGuard {
		out[i] ^= b
	}
	return out
}

// protect encrypts content, whose signature is in place, as the sender with
// this message key. padded gives the length to pad to.
func (c *authenticatedContent) protect(s *suite, senderDataSecret []byte, use keyUse, padded func(int) int) (*privateMessage, error) {
	m := &privateMessage{groupID: c.content.groupID, epoch: c.content.epoch, typ: c.content.typ, aad: c.content.aad}
	d := senderData{leaf: LeafIndex(c.content.sender.index), generation: use.generation}
	rand.Read(d.reuseGuard[:])
	w := writer{b: make([]byte, 0, padded(len(c.content.body)+len(c.signature)+len(c.confirmationTag)+8))}
	w.raw(c.content.body)
	c.encodeAuth(&w)
	plaintext := w.b
	if n := padded(len(plaintext)); n > len(plaintext) {
		plaintext = append(plaintext, make([]byte, n-len(plaintext))...)
	}
	var err error
	if m.ciphertext, err = s.seal(use.key, d.guarded(use.nonce), m.contentAAD(), plaintext); err != nil {
		return nil, err
	}
	key, nonce := s.senderDataKey(senderDataSecret, m.ciphertext)
	defer clear(key)
	m.senderData, err = s.seal(key, nonce, m.senderDataAAD(), marshal(d))
	return m, err
}

// sender decrypts who sent the message.
func (m *privateMessage) sender(s *suite, senderDataSecret []byte) (senderData, error) {
	key, nonce := s.senderDataKey(senderDataSecret, m.ciphertext)
	defer clear(key)
	b, err := s.open(key, nonce, m.senderDataAAD(), m.senderData)
	if err != nil {
		return senderData{}, err
	}
	return unmarshal(b, readSenderData)
}

// unprotect decrypts the message with the key of its sender and generation. The
// signature has still to be verified.
func (m *privateMessage) unprotect(s *suite, d senderData, use keyUse) (*authenticatedContent, error) {
	plaintext, err := s.open(use.key, d.guarded(use.nonce), m.contentAAD(), m.ciphertext)
	if err != nil {
		return nil, err
	}
	c := &authenticatedContent{wireFormat: wirePrivate, content: framedContent{
		groupID: m.groupID, epoch: m.epoch, sender: sender{SenderMember, uint32(d.leaf)}, aad: m.aad, typ: m.typ,
	}}
	r := reader{b: plaintext}
	c.content.readBody(&r)
	c.readAuth(&r)
	for _, b := range r.b {
		if b != 0 {
			r.fail("padding is not zero")
			break
		}
	}
	return c, r.err
}
