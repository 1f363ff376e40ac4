package mls

import (
	"bytes"
	"fmt"
)

const (
	pskExternal   = 1
	pskResumption = 2

	usageApplication = 1
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
		extracted, before := s.extract(make([]byte, s.nh), psk.secret), secret
		var label writer
		psk.id.encode(&label)
		label.u16(uint16(i))
		label.u16(uint16(len(psks)))
		input := s.expandWithLabel(extracted, "derived psk", label.b, s.nh)
		secret = s.extract(input, before)
		clear(extracted)
		clear(input)
		clear(before)
	}
	return secret
}

// ExternalPSKProposal mixes a secret into the next epoch that all members have got outside
// of the group; Config.ExternalPSK finds it by its id.
func ExternalPSKProposal(id []byte) Proposal {
	return Proposal{typ: ProposalPSK, psk: pskID{typ: pskExternal, id: bytes.Clone(id)}}
}

// withNonce gives a PSK proposal made here its fresh nonce (§8.4).
func (p Proposal) withNonce(s *suite) Proposal {
	if p.typ == ProposalPSK && p.psk.nonce == nil {
		p.psk.nonce = s.randomSecret()
	}
	return p
}

// checkPSK applies the rules about a PSK proposal of an ordinary commit (§12.1.4).
func (s *suite) checkPSK(id pskID) error {
	if len(id.nonce) != s.nh {
		return invalid("12.1.4", "PSK nonce of %d bytes", len(id.nonce))
	}
	if id.typ == pskResumption && id.usage != usageApplication {
		return invalid("12.1.4", "resumption PSK of usage %d", id.usage)
	}
	return nil
}

// joinPSKs finds the PSKs of a Welcome, external ones alone: of groups that
// could be resumed Join knows nothing.
func (c *Config) joinPSKs(s *suite, ids []pskID) ([]byte, error) {
	return s.lookUpPSKs(ids, func(id pskID) ([]byte, error) {
		if id.typ != pskExternal {
			return nil, fmt.Errorf("%w: resumption PSK in a welcome", ErrUnsupported)
		}
		return c.externalPSK(id.id)
	})
}

// psks finds the PSKs of a commit in the present epoch.
func (g *Group) psks(ids []pskID) ([]byte, error) {
	return g.suite.lookUpPSKs(ids, func(id pskID) ([]byte, error) {
		if id.typ == pskExternal {
			return g.cfg.externalPSK(id.id)
		}
		if bytes.Equal(id.groupID, g.cur.context.groupID) {
			if id.epoch == g.cur.context.epoch {
				return g.cur.secrets.resumption, nil
			}
			for _, p := range g.past {
				if p.epoch == id.epoch {
					return p.resumption, nil
				}
			}
		}
		return nil, fmt.Errorf("%w: resumption of epoch %d", ErrMissingPSK, id.epoch)
	})
}

func (s *suite) lookUpPSKs(ids []pskID, find func(pskID) ([]byte, error)) ([]byte, error) {
	keys := make([]presharedKey, len(ids))
	for i, id := range ids {
		secret, err := find(id)
		if err != nil {
			return nil, err
		}
		keys[i] = presharedKey{id, secret}
	}
	return s.pskSecret(keys), nil
}

func (c *Config) externalPSK(id []byte) ([]byte, error) {
	if c.ExternalPSK != nil {
		if secret, ok := c.ExternalPSK(id); ok {
			return secret, nil
		}
	}
	return nil, fmt.Errorf("%w: external", ErrMissingPSK)
}
