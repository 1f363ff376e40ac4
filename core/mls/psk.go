package mls

const (
	pskExternal   = 1
	pskResumption = 2
)

// pskID is PreSharedKeyID of RFC 9420 §8.4.
type pskID struct {
	typ     uint8
	id      []byte // external
	usage   uint8  // resumption
	groupID []byte
	epoch   uint64
	nonce   []byte
}

func (p pskID) encode(w *writer) {
	w.u8(p.typ)
	switch p.typ {
	case pskExternal:
		w.vec(p.id)
	case pskResumption:
		w.u8(p.usage)
		w.vec(p.groupID)
		w.u64(p.epoch)
	}
	w.vec(p.nonce)
}

func readPSKID(r *reader) pskID {
	p := pskID{typ: r.u8()}
	switch p.typ {
	case pskExternal:
		p.id = r.vec()
	case pskResumption:
		p.usage, p.groupID, p.epoch = r.u8(), r.vec(), r.u64()
	default:
		r.fail("unknown PSK type %d", p.typ)
	}
	p.nonce = r.vec()
	return p
}

type presharedKey struct {
	id     pskID
	secret []byte
}

// pskSecret chains the PSKs of a commit (§8.4); all zeros where there is none.
func (s *suite) pskSecret(psks []presharedKey) []byte {
	secret := make([]byte, s.nh)
	for i, psk := range psks {
		extracted := s.extract(make([]byte, s.nh), psk.secret)
		var label writer
		psk.id.encode(&label)
		label.u16(uint16(i))
		label.u16(uint16(len(psks)))
		input := s.expandWithLabel(extracted, "derived psk", label.b, s.nh)
		secret = s.extract(input, secret)
	}
	return secret
}
