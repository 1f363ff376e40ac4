package mls

import (
	"runtime"
	"testing"
)

// A member's proposals are bounded: the rest is refused, whole, and others' are not.
func TestProposalFlood(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 3)
	alice, bob, carol := peers[0], peers[1], peers[2]
	for i := range maxProposals {
		m, err := bob.g.ProposeUpdate([]Extension{{Type: 0x2a2a, Data: []byte{byte(i)}}})
		if err != nil {
			t.Fatal(err)
		}
		alice.process(m)
	}
	bob.save()
	_, err := bob.g.ProposeUpdate(nil)
	expect(t, err, ErrTooManyProposals)
	_, err = bob.g.Propose(ExternalPSKProposal([]byte("id")))
	expect(t, err, ErrTooManyProposals)
	if len(bob.g.TakeChanges()) != 0 {
		t.Error("proposals that are not made change the group")
	}
	for range 10 {
		alice.refuses(bob.forgeUpdate(func(*LeafNode) {}, bob.g.own), ErrTooManyProposals)
	}
	leave, err := carol.g.ProposeSelfRemove()
	if err != nil {
		t.Fatal(err)
	}
	alice.process(leave)
	_, err = carol.g.ProposeSelfRemove()
	expect(t, err, ErrTooManyProposals)
	// The same leave under other additional data is another proposal.
	again := carol.g.content(contentProposal, marshal(&Proposal{typ: ProposalSelfRemove}), []byte("again"))
	again.content.proposal = &Proposal{typ: ProposalSelfRemove}
	m, err := carol.g.send(again)
	if err != nil {
		t.Fatal(err)
	}
	alice.refuses(m, ErrTooManyProposals)
	alice.restore()
	if n := len(alice.g.proposals); n != maxProposals+1 {
		t.Errorf("%d proposals are kept", n)
	}
	alice.commit(CommitOptions{})
	alice.merge()
	if n := alice.g.MemberCount(); n != 2 {
		t.Errorf("%d members", n)
	}
}

// Short input that stands for much is refused before it has become much.
func TestInputOutOfProportion(t *testing.T) {
	var commitOfMany writer
	commitOfMany.nested(func(w *writer) {
		for range 4 << 20 {
			proposalOrRef{proposal: &Proposal{typ: ProposalSelfRemove}}.encode(w)
		}
	})
	commitOfMany.optional(false)
	var treeOfBlanks writer
	treeOfBlanks.nested(func(w *writer) { w.raw(make([]byte, 15<<20)) })
	ids := make([]uint16, 1<<16)
	for i := range ids {
		ids[i] = uint16(i)
	}
	capabilities := marshal(Capabilities{Extensions: ids})
	s, err := suiteOf(SuiteXWing)
	if err != nil {
		t.Fatal(err)
	}
	for name, decode := range map[string]func() error{
		"commit": func() error { _, err := unmarshal(commitOfMany.b, readCommit); return err },
		"tree":   func() error { _, err := parseTree(s, treeOfBlanks.b); return err },
		"required capabilities": func() error {
			list := make([]uint16, maxCapabilities+1) // of the same id, all fulfilled
			return checkContextExtensions([]Extension{RequiredCapabilitiesExtension(Capabilities{Proposals: list})})
		},
		"capabilities": func() error {
			_, err := unmarshal(capabilities, readCapabilities)
			return err
		},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode()
		runtime.ReadMemStats(&after)
		expect(t, err, ErrMalformed)
		if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
			t.Errorf("%s: %d MiB for nothing", name, n>>20)
		}
	}
}

// Looking for doubles among many extensions does not take long.
func TestManyExtensions(t *testing.T) {
	list := make([]Extension, 1<<16)
	for i := range list {
		list[i].Type = uint16(i)
	}
	if err := checkExtensions(list); err != nil {
		t.Error(err)
	}
	expect(t, checkExtensions(append(list, Extension{Type: 7})), "13.4")
}
