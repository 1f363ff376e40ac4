package mls

import "time"

// ProposalType is an id of RFC 9420 §17.4.
type ProposalType uint16

// The proposal types that can be decoded.
const (
	ProposalAdd                    ProposalType = 0x0001
	ProposalUpdate                 ProposalType = 0x0002
	ProposalRemove                 ProposalType = 0x0003
	ProposalPSK                    ProposalType = 0x0004
	ProposalReInit                 ProposalType = 0x0005
	ProposalExternalInit           ProposalType = 0x0006
	ProposalGroupContextExtensions ProposalType = 0x0007
	ProposalSelfRemove             ProposalType = 0x000a // draft-ietf-mls-extensions
)

// Proposal is a change to the group (RFC 9420 §12.1); make one with
// AddProposal, RemoveProposal, GroupContextExtensionsProposal, ExternalPSKProposal,
// ResumptionPSKProposal or ReInitProposal.
type Proposal struct {
	typ        ProposalType
	keyPackage *KeyPackage // Add
	leaf       *LeafNode   // Update
	removed    LeafIndex   // Remove
	psk        pskID       // PSK
	reInit     *ReInit     // ReInit
	kemOutput  []byte      // ExternalInit
	extensions []Extension // GroupContextExtensions
	err        error       // what is wrong with a proposal made here
}

// AddProposal adds the client of this serialised KeyPackage. A malformed one is
// reported when the proposal is used.
func AddProposal(keyPackage []byte) Proposal {
	kp, err := ParseKeyPackage(keyPackage)
	return Proposal{typ: ProposalAdd, keyPackage: kp, err: err}
}

// RemoveProposal removes the member at this leaf.
func RemoveProposal(member LeafIndex) Proposal {
	return Proposal{typ: ProposalRemove, removed: member}
}

// GroupContextExtensionsProposal replaces all extensions of the group context.
func GroupContextExtensionsProposal(extensions []Extension) Proposal {
	return Proposal{typ: ProposalGroupContextExtensions, extensions: cloneExtensions(extensions)}
}

// Type returns the proposal's type.
func (p *Proposal) Type() ProposalType { return p.typ }

// checkLifetime is what is asked of an Add besides, before one sends it oneself (§7.3).
func (p *Proposal) checkLifetime(now time.Time) error {
	if p.typ == ProposalAdd && p.err == nil && !p.keyPackage.leaf.Lifetime.Contains(now) {
		return invalid("7.3", "key package is outside its lifetime")
	}
	return nil
}

func (p *Proposal) encode(w *writer) {
	w.u16(uint16(p.typ))
	switch p.typ {
	case ProposalAdd:
		p.keyPackage.encode(w)
	case ProposalUpdate:
		p.leaf.encode(w)
	case ProposalRemove:
		w.u32(uint32(p.removed))
	case ProposalPSK:
		p.psk.encode(w)
	case ProposalReInit:
		p.reInit.encode(w)
	case ProposalExternalInit:
		w.vec(p.kemOutput)
	case ProposalGroupContextExtensions:
		writeList(w, p.extensions)
	case ProposalSelfRemove:
	}
}

func readProposal(r *reader) *Proposal {
	p := &Proposal{typ: ProposalType(r.u16())}
	switch p.typ {
	case ProposalAdd:
		p.keyPackage = readKeyPackage(r)
	case ProposalUpdate:
		p.leaf = readLeafNode(r)
	case ProposalRemove:
		p.removed = LeafIndex(r.u32())
	case ProposalPSK:
		p.psk = readPSKID(r)
	case ProposalReInit:
		p.reInit = readReInit(r)
	case ProposalExternalInit:
		p.kemOutput = r.vec()
	case ProposalGroupContextExtensions:
		p.extensions = readList(r, readExtension)
	case ProposalSelfRemove:
	default:
		r.fail("unknown proposal type %#04x", uint16(p.typ))
	}
	return p
}

// mayPropose tells whether such senders may send such proposals (§12.1.6, §12.1.8,
// §12.4.3.2).
func (s SenderType) mayPropose(t ProposalType) bool {
	switch s {
	case SenderMember:
		return t != ProposalExternalInit
	case SenderExternal:
		switch t {
		case ProposalAdd, ProposalRemove, ProposalPSK, ProposalReInit, ProposalGroupContextExtensions:
			return true
		}
	case SenderNewMemberProposal:
		return t == ProposalAdd
	case SenderNewMemberCommit:
		return t == ProposalExternalInit || t == ProposalRemove || t == ProposalPSK
	}
	return false
}

func (s SenderType) notAllowed(t ProposalType) error {
	section := "12.1.8"
	switch {
	case t == ProposalExternalInit:
		section = "12.1.6"
	case s == SenderNewMemberCommit:
		section = "12.4.3.2"
	}
	return invalid(section, "proposal of type %#04x by a sender of type %d", uint16(t), s)
}

// needsPath tells whether a commit of this proposal must have a path (§17.4).
func (t ProposalType) needsPath() bool {
	switch t {
	case ProposalAdd, ProposalPSK, ProposalReInit:
		return false
	default:
		return true
	}
}
