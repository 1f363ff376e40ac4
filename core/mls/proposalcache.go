package mls

import (
	"bytes"
	"fmt"
	"slices"
)

// cachedProposal is a valid proposal of the present epoch.
type cachedProposal struct {
	sourcedProposal
	seq        uint32
	newPrivate []byte // leaf key of an own Update
	rejected   bool   // by the application: not for own commits
}

func (p *cachedProposal) encode(w *writer) {
	w.u8(recordVersion)
	w.u32(uint32(p.sender))
	w.vec(p.ref)
	w.vec(p.newPrivate)
	w.optional(p.rejected)
	p.Proposal.encode(w)
}

func readCachedProposal(r *reader) *cachedProposal {
	if v := r.u8(); v != recordVersion {
		r.fail("proposal record of version %d", v)
	}
	p := &cachedProposal{}
	p.sender, p.ref, p.newPrivate = LeafIndex(r.u32()), r.vec(), r.vec()
	p.rejected = r.optional()
	p.Proposal = readProposal(r)
	return p
}

// cacheProposal keeps a proposal; one that says the same again is the same.
func (g *Group) cacheProposal(content *authenticatedContent, newPrivate []byte) {
	p := &cachedProposal{newPrivate: newPrivate}
	p.Proposal, p.sender = content.content.proposal, LeafIndex(content.content.sender.index)
	p.ref = g.suite.proposalRef(marshal(content))
	if g.cached(p.ref) != nil {
		return
	}
	if n := len(g.proposals); n > 0 {
		p.seq = g.proposals[n-1].seq + 1
	}
	g.proposals = append(g.proposals, p)
	g.log.put(recordKey32(prefixProposal, p.seq), marshalSecret(p))
}

// maxProposals is how many proposals of one sender are kept in an epoch.
const maxProposals = 64

// mayPropose tells whether another proposal of a member is kept. Leaving twice
// says nothing new. All members see proposals in one order and so keep the same.
func (g *Group) mayPropose(sender LeafIndex, typ ProposalType) bool {
	n := 0
	for _, p := range g.proposals {
		if p.sender != sender {
			continue
		}
		if n++; n >= maxProposals || typ == ProposalSelfRemove && p.typ == typ {
			return false
		}
	}
	return true
}

func (g *Group) cached(ref []byte) *cachedProposal {
	for _, p := range g.proposals {
		if bytes.Equal(p.ref, ref) {
			return p
		}
	}
	return nil
}

func (g *Group) forgetProposals() {
	for _, p := range g.proposals {
		clear(p.newPrivate)
		g.log.delete(recordKey32(prefixProposal, p.seq))
	}
	g.proposals = nil
}

// resolve gives the proposals of a received commit.
func (g *Group) resolve(committer LeafIndex, list []proposalOrRef) ([]sourcedProposal, error) {
	out := make([]sourcedProposal, 0, len(list))
	seen := map[string]bool{}
	for _, p := range list {
		if p.proposal != nil {
			out = append(out, sourcedProposal{Proposal: p.proposal, sender: committer})
			continue
		}
		c := g.cached(p.ref)
		if c == nil {
			return nil, ErrMissingProposal
		}
		if seen[string(p.ref)] {
			return nil, invalid("12.2", "a proposal is referenced twice")
		}
		seen[string(p.ref)] = true
		out = append(out, c.sourcedProposal)
	}
	return out, nil
}

// gather gives the proposals of an own commit: those asked for, and of those
// received all that go together with them. Of several for one leaf, its own
// leaving counts first, then what is asked for, then the latest. A PSK that is
// missing here is left out.
func (g *Group) gather(asked []Proposal) []sourcedProposal {
	var list []sourcedProposal
	taken := map[string]bool{}
	claim := func(p sourcedProposal) {
		if slot := p.slot(); !taken[slot] {
			taken[slot] = true
			list = append(list, p)
		}
	}
	for _, p := range g.proposals {
		if p.typ == ProposalSelfRemove && !p.rejected {
			claim(p.sourcedProposal)
		}
	}
	for i := range asked {
		proposal := asked[i].withNonce(g.suite)
		p := sourcedProposal{Proposal: &proposal, sender: g.own}
		if p.typ == ProposalRemove && taken[p.slot()] {
			continue // it is leaving by itself
		}
		taken[p.slot()] = true
		list = append(list, p)
	}
	for _, p := range slices.Backward(g.proposals) {
		own := p.sender == g.own && p.typ == ProposalUpdate || p.typ == ProposalRemove && p.removed == g.own
		useless := p.typ == ProposalPSK && !g.hasPSK(p.psk)
		if !own && !p.rejected && !useless {
			claim(p.sourcedProposal)
		}
	}
	return settleReInit(list)
}

// slot names what a proposal is about: only one proposal of a commit may be.
func (p *sourcedProposal) slot() string {
	switch p.typ {
	case ProposalUpdate, ProposalSelfRemove:
		return fmt.Sprintf("leaf %d", p.sender)
	case ProposalRemove:
		return fmt.Sprintf("leaf %d", p.removed)
	case ProposalAdd:
		if p.keyPackage == nil {
			return "bad add"
		}
		return "add " + string(p.keyPackage.leaf.SignatureKey)
	case ProposalPSK:
		return "psk " + string(marshal(p.psk))
	default:
		return fmt.Sprintf("type %d", p.typ)
	}
}

// applyGathered applies what gather found. If the received proposals do not go
// together it makes do with those asked for and the self-removes.
func (g *Group) applyGathered(asked []Proposal) ([]sourcedProposal, *outcome, error) {
	list := g.gather(asked)
	o, err := g.apply(g.own, list)
	if err == nil {
		return list, o, nil
	}
	kept := slices.DeleteFunc(slices.Clone(list), func(p sourcedProposal) bool {
		return p.ref != nil && p.typ != ProposalSelfRemove
	})
	if len(kept) == len(list) {
		return nil, nil, err
	}
	o, retried := g.apply(g.own, kept)
	if retried != nil {
		return nil, nil, retried
	}
	return kept, o, nil
}
