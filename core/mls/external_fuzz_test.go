package mls

import (
	"bytes"
	"testing"
)

// FuzzJoinByCommit: past its signature, any GroupInfo is refused or leads into a
// group of its id that can be stored and used.
func FuzzJoinByCommit(f *testing.F) {
	alice, p := newGroupOf(f, SuiteX25519, 3)[0], newPeer(f, SuiteX25519, "joiner")
	f.Add(alice.groupInfo(true), []byte{})
	f.Add(alice.groupInfo(false), alice.g.RatchetTree())
	f.Fuzz(func(t *testing.T, info, tree []byte) {
		m, err := unmarshal(bytes.Clone(info), readMessage)
		if err == nil && m.groupInfo != nil {
			if err := m.groupInfo.sign(alice.g.suite, alice.signer); err != nil {
				t.Fatal(err)
			}
			info = marshal(m)
		}
		g, commit, err := JoinByCommit(p.cfg, p.joining(ExternalJoinOptions{GroupInfo: info, Tree: tree}))
		if err != nil {
			return
		}
		if !bytes.Equal(g.ID(), m.groupInfo.context.groupID) || g.Epoch() != m.groupInfo.context.epoch+1 {
			t.Error("joined another group")
		}
		usable(t, p, g)
		_, _ = alice.g.Process(commit)
		if c := alice.g.TakeChanges(); len(c) != 0 {
			t.Errorf("staging changed %d records", len(c))
		}
	})
}

// FuzzExternalCommit: past its signature, any content of an external commit is refused
// without a trace, or taken.
func FuzzExternalCommit(f *testing.F) {
	peers := newGroupOf(f, SuiteX25519, 5)
	bob, p, old := peers[1], newPeer(f, SuiteX25519, "joiner"), LeafIndex(3)
	for _, o := range []ExternalJoinOptions{{}, {Replace: &old}} {
		o.GroupInfo = bob.groupInfo(true)
		p.forgeExternal(o, testCapabilities, func(e *externalForgery) {
			f.Add(marshal(e.c))
			e.byValue(&Proposal{typ: ProposalSelfRemove}, e.c.proposals[0].proposal)
			f.Add(marshal(e.c))
		})
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := unmarshal(b, readCommit)
		if err != nil {
			return
		}
		content := bob.g.content(contentCommit, b, nil)
		content.wireFormat, content.content.sender, content.content.commit = wirePublic, sender{typ: SenderNewMemberCommit}, c
		m := &publicMessage{authenticatedContent: *content}
		if err := m.sign(bob.g.suite, p.signer, bob.g.cur.contextRaw); err != nil {
			t.Fatal(err)
		}
		_, _ = bob.g.processPublic(m)
		if c.path != nil {
			_, _ = bob.g.stage(content)
		}
		if c := bob.g.TakeChanges(); len(c) != 0 {
			t.Errorf("staging changed %d records", len(c))
		}
	})
}
