package mls

import (
	"bytes"
	"fmt"
)

const (
	pskExternal   = 1
	pskResumption = 2

	usageApplication = 1
	usageReInit      = 2
	usageBranch      = 3
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
		if r.err == nil && (p.usage < usageApplication || p.usage > usageBranch) {
			r.fail("unknown usage %d of a resumption PSK", p.usage)
		}
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

// ResumptionPSKProposal mixes the resumption PSK of an epoch of a group into the
// next epoch (RFC 9420 §8.6), of this group or of another one: only who has been a member
// then can follow, see Config.ResumptionPSK. Another member's of an epoch of this
// group is not committed unless asked for, since it shuts out all who have come since.
func ResumptionPSKProposal(groupID []byte, epoch uint64) Proposal {
	return Proposal{typ: ProposalPSK, psk: pskID{
		typ: pskResumption, usage: usageApplication, groupID: bytes.Clone(groupID), epoch: epoch,
	}}
}

// withNonce gives a PSK proposal made here its fresh nonce (§8.4).
func (p Proposal) withNonce(s *suite) Proposal {
	if p.typ == ProposalPSK && p.psk.nonce == nil {
		p.psk.nonce = s.randomSecret()
	}
	return p
}

// linksGroups tells whether the PSK is for joining a successor alone.
func (p pskID) linksGroups() bool { return p.typ == pskResumption && p.usage != usageApplication }

func (p pskID) equal(q pskID) bool { return bytes.Equal(marshal(p), marshal(q)) }

// checkPSK applies the rules about a PSK proposal (§12.1.4).
func (g *Group) checkPSK(id pskID) error {
	if len(id.nonce) != g.suite.nh {
		return invalid("12.1.4", "PSK nonce of %d bytes", len(id.nonce))
	}
	if id.linksGroups() && (g.origin == nil || !g.origin.id.equal(id)) {
		return invalid("12.1.4", "resumption PSK of usage %d", id.usage)
	}
	return nil
}

// ResumptionPSK returns the resumption PSK of the present epoch or of one of the
// Config.PastEpochs before it (RFC 9420 §8.6), for Config.ResumptionPSK of groups
// that are to prove a membership in this one. For longer the application may
// keep it: a secret, of the length of the suite's hash.
func (g *Group) ResumptionPSK(epoch uint64) (secret []byte, ok bool) {
	secret = g.resumption(epoch)
	return bytes.Clone(secret), secret != nil
}

// resumption finds the resumption PSK of an epoch of this group, nil where it is gone.
func (g *Group) resumption(number uint64) []byte {
	if number == g.cur.context.epoch && !g.removed {
		return g.cur.secrets.resumption
	}
	for _, p := range g.past {
		if p.epoch == number {
			return p.resumption
		}
	}
	return nil
}

// psks finds the PSKs of a commit in the present epoch.
func (g *Group) psks(ids []pskID) ([]byte, error) {
	return g.suite.lookUpPSKs(ids, g.findPSK)
}

func (g *Group) findPSK(id pskID) ([]byte, error) {
	if g.origin != nil && g.origin.id.equal(id) {
		return g.origin.secret, nil
	}
	if id.typ == pskResumption && bytes.Equal(id.groupID, g.cur.context.groupID) {
		if secret := g.resumption(id.epoch); secret != nil {
			return secret, nil
		}
	}
	return g.cfg.findPSK(id)
}

func (g *Group) hasPSK(id pskID) bool {
	_, err := g.findPSK(id)
	return err == nil
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

// findPSK asks the application.
func (c *Config) findPSK(id pskID) ([]byte, error) {
	if id.typ == pskExternal {
		if c.ExternalPSK != nil {
			if secret, ok := c.ExternalPSK(id.id); ok {
				return secret, nil
			}
		}
		return nil, fmt.Errorf("%w: external", ErrMissingPSK)
	}
	if c.ResumptionPSK != nil {
		if secret, ok := c.ResumptionPSK(id.groupID, id.epoch); ok {
			return secret, nil
		}
	}
	return nil, fmt.Errorf("%w: resumption of epoch %d", ErrMissingPSK, id.epoch)
}

// checkWelcomePSKs applies the rules about the PSKs of a Welcome (§8.4, §12.4.3.1)
// and returns the one that links the group to an old one, nil where there is none.
func (s *suite) checkWelcomePSKs(ids []pskID) (link *pskID, err error) {
	if len(ids) > maxCommitted {
		return nil, invalid("12.2", "%d PSKs", len(ids))
	}
	seen := map[string]bool{}
	for i, id := range ids {
		if len(id.nonce) != s.nh {
			return nil, invalid("8.4", "PSK nonce of %d bytes", len(id.nonce))
		}
		key := string(marshal(id))
		if seen[key] {
			return nil, invalid("12.2", "the same PSK twice")
		}
		seen[key] = true
		if !id.linksGroups() {
			continue
		}
		if link != nil {
			return nil, invalid("12.4.3.1", "several PSKs of a re-initialised or branched group")
		}
		link = &ids[i]
	}
	return link, nil
}

// joinPSKs finds the PSKs of a Welcome. old is the group that the new one is to
// succeed, nil where it is to be none of that kind.
func (c *Config) joinPSKs(s *suite, ids []pskID, old *Group) ([]byte, *pskID, error) {
	link, err := s.checkWelcomePSKs(ids)
	if err != nil {
		return nil, nil, err
	}
	if old == nil {
		if link != nil {
			return nil, nil, &SuccessorError{GroupID: link.groupID, Epoch: link.epoch, Branch: link.usage == usageBranch}
		}
		secret, err := s.lookUpPSKs(ids, c.findPSK)
		return secret, nil, err
	}
	secret, err := old.linkSecret(link)
	if err != nil {
		return nil, nil, err
	}
	all, err := s.lookUpPSKs(ids, func(id pskID) ([]byte, error) {
		if id.linksGroups() {
			return secret, nil
		}
		return old.findPSK(id)
	})
	return all, link, err
}
