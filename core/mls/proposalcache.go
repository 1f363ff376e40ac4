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
	p.sender.encode(w)
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
	p.sender, p.ref, p.newPrivate = readSender(r), r.vec(), r.vec()
	p.rejected = r.optional()
	p.Proposal = readProposal(r)
	if !p.sender.typ.mayPropose(p.typ) {
		r.fail("proposal of type %#04x by a sender of type %d", uint16(p.typ), p.sender.typ)
	}
	return p
}

// cacheProposal keeps a proposal; one that says the same again is the same.
func (g *Group) cacheProposal(content *authenticatedContent, newPrivate []byte) {
	p := &cachedProposal{newPrivate: newPrivate}
	p.Proposal, p.sender = content.content.proposal, content.content.sender
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

// maxProposals is how many proposals of one sender are kept in an epoch: of a
// member, of an external sender, and of all together who propose to join.
const maxProposals = 64

// hasRoom tells whether another proposal of a sender is kept. Leaving twice
// says nothing new. All members see proposals in one order and so keep the same.
func (g *Group) hasRoom(from sender, typ ProposalType) bool {
	n := 0
	for _, p := range g.proposals {
		if p.sender != from {
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
func (g *Group) resolve(committer sender, list []proposalOrRef) ([]sourcedProposal, error) {
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
// missing here, or another's of an epoch of this group, a KeyPackage past its lifetime
// and a self-remove that not all members support are left out.
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
		if p.typ == ProposalSelfRemove && !p.rejected && g.cur.tree.census.allHaveProposal(uint16(p.typ)) {
			claim(p.sourcedProposal)
		}
	}
	for i := range asked {
		proposal := asked[i].withNonce(g.suite)
		p := sourcedProposal{Proposal: &proposal, sender: memberSender(g.own)}
		if p.typ == ProposalRemove && taken[p.slot()] {
			continue // it is leaving by itself
		}
		taken[p.slot()] = true
		list = append(list, p)
	}
	for _, p := range slices.Backward(g.proposals) {
		own := p.sender.isMember(g.own) && p.typ == ProposalUpdate || p.typ == ProposalRemove && p.removed == g.own
		useless := p.typ == ProposalSelfRemove || // taken before, if at all
			p.typ == ProposalPSK && (g.shutsOut(p) || !g.hasPSK(p.psk)) ||
			p.typ == ProposalAdd && !p.keyPackage.leaf.Lifetime.Contains(g.cfg.now())
		if !own && !useless && !p.rejected {
			claim(p.sourcedProposal)
		}
	}
	return settleReInit(list)
}

// shutsOut tells of another's proposal of a PSK that only those have who were in
// an epoch of this group: whoever has come since, or comes by the same commit,
// could not follow.
func (g *Group) shutsOut(p *cachedProposal) bool {
	return p.psk.typ == pskResumption && bytes.Equal(p.psk.groupID, g.cur.context.groupID) && !p.sender.isMember(g.own)
}

// slot names what a proposal is about: only one proposal of a commit may be.
func (p *sourcedProposal) slot() string {
	switch p.typ {
	case ProposalUpdate, ProposalSelfRemove:
		return fmt.Sprintf("leaf %d", p.sender.leaf())
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
// together it does without those of anybody who would join, then without all
// from outside of the group, and then makes do with those asked for and the self-removes.
func (g *Group) applyGathered(asked []Proposal) ([]sourcedProposal, *outcome, error) {
	list := g.gather(asked)
	o, err := g.apply(memberSender(g.own), list)
	for _, spare := range []func(sourcedProposal) bool{
		func(p sourcedProposal) bool { return p.sender.typ == SenderNewMemberProposal },
		func(p sourcedProposal) bool { return p.sender.typ != SenderMember },
		func(p sourcedProposal) bool { return p.ref != nil && p.typ != ProposalSelfRemove },
	} {
		if err == nil {
			break
		}
		if kept := slices.DeleteFunc(slices.Clone(list), spare); len(kept) < len(list) {
			list = kept
			o, err = g.apply(memberSender(g.own), list)
		}
	}
	return list, o, err
}
