package mls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// ReInit is the parameters of the group that takes the place of another one
// (RFC 9420 §12.1.5).
type ReInit struct {
	GroupID    []byte // new and unique
	Version    uint16 // of the protocol; 0 means MLS 1.0 in a ReInitProposal
	Suite      Suite
	Extensions []Extension // of the group context
}

// ReInitProposal closes the group, to be continued with the same members under
// other parameters, such as another cipher suite: see Group.Reinitialize. No
// commit may have another proposal beside it: one that is asked to commit it
// leaves out what has been received, and one that finds it among other received
// proposals leaves it for a later epoch, where it has to be proposed again.
func ReInitProposal(r ReInit) Proposal {
	p := Proposal{typ: ProposalReInit, reInit: r.clone()}
	if p.reInit.Version == 0 {
		p.reInit.Version = protocolVersion
	}
	_, err := suiteOf(r.Suite)
	switch {
	case len(r.GroupID) == 0:
		p.err = errors.New("mls: group id is empty")
	case p.reInit.Version != protocolVersion:
		p.err = fmt.Errorf("%w: protocol version %d", ErrUnsupported, r.Version)
	case err != nil:
		p.err = err
	}
	return p
}

func (r *ReInit) clone() *ReInit {
	return &ReInit{
		GroupID: bytes.Clone(r.GroupID), Version: r.Version, Suite: r.Suite, Extensions: cloneExtensions(r.Extensions),
	}
}

func (r *ReInit) encode(w *writer) {
	w.vec(r.GroupID)
	w.u16(r.Version)
	w.u16(uint16(r.Suite))
	writeList(w, r.Extensions)
}

func readReInit(r *reader) *ReInit {
	return &ReInit{GroupID: r.vec(), Version: r.u16(), Suite: Suite(r.u16()), Extensions: readList(r, readExtension)}
}

// check applies the rules about a ReInit proposal (§12.1.5). Whether the suite is known
// here is no matter of validity: all members have to decide alike.
func (r *ReInit) check() error {
	if r.Version < protocolVersion {
		return invalid("12.1.5", "re-initialisation with the older protocol version %d", r.Version)
	}
	return checkContextExtensions(r.Extensions)
}

// settleReInit makes sure that an own commit does not mix a ReInit with other
// proposals (§12.2). One that is asked for goes alone; one that was received
// gives way, for its sender to propose it again.
func settleReInit(list []sourcedProposal) []sourcedProposal {
	isReInit := func(p sourcedProposal) bool { return p.typ == ProposalReInit }
	if len(list) < 2 || !slices.ContainsFunc(list, isReInit) {
		return list
	}
	if slices.ContainsFunc(list, func(p sourcedProposal) bool { return p.ref == nil && isReInit(p) }) {
		return slices.DeleteFunc(list, func(p sourcedProposal) bool { return p.ref != nil })
	}
	return slices.DeleteFunc(list, isReInit)
}

// ReInit returns the parameters of the group that takes this one's place, nil
// as long as the group has not been re-initialised.
func (g *Group) ReInit() *ReInit {
	if g.reInit == nil {
		return nil
	}
	return g.reInit.clone()
}

// suspend closes the group for good, after a commit of a ReInit (§12.4.2).
func (g *Group) suspend(r *ReInit) {
	g.reInit = r.clone()
	g.log.put(recordReInit, marshal(g.reInit))
}

// maySend tells whether this member may still send to the group.
func (g *Group) maySend() error {
	switch {
	case g.removed:
		return ErrRemoved
	case g.reInit != nil:
		return ErrReInit
	default:
		return nil
	}
}

func (l *loader) loadReInit() error {
	value, ok := l.one(recordReInit)
	if !ok {
		return nil
	}
	r, err := unmarshal(value, readReInit)
	if err != nil {
		return fmt.Errorf("re-initialisation: %w", err)
	}
	if _, pending := l.one(recordPending); pending || l.g.removed {
		return fmt.Errorf("%w: re-initialised, and not closed", ErrMalformed)
	}
	l.g.reInit = r
	return nil
}
