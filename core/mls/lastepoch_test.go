package mls

import (
	"math"
	"testing"
)

// After the last epoch there is no other: neither an own commit nor another's, nor an
// external one may begin it again at 0, where nothing could be loaded any more.
func TestLastEpoch(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 2)
	alice, bob := peers[0], peers[1]
	for _, p := range peers {
		e := p.g.cur
		e.context.epoch = math.MaxUint64
		e.contextRaw = marshal(&e.context)
		p.g.keys.epoch = math.MaxUint64
	}
	alice.hears(bob.seal("last words"), "last words", bob)
	_, err := alice.g.Commit(CommitOptions{})
	expect(t, err, "8.1")
	c := &commit{path: &updatePath{leaf: alice.g.cur.tree.leaf(0)}}
	content := alice.g.content(contentCommit, marshal(c), nil)
	content.content.commit = c
	m, err := alice.g.send(content)
	if err != nil {
		t.Fatal(err)
	}
	bob.g.TakeChanges()
	bob.refusesFor(m, "8.1")
	info, err := alice.g.GroupInfo(true)
	if err != nil {
		t.Fatal(err)
	}
	carol := newPeer(t, SuiteX25519, "carol")
	_, _, err = JoinByCommit(carol.cfg, ExternalJoinOptions{
		GroupInfo: info, Signer: carol.signer, Credential: carol.credential, ExtraCapabilities: carol.capabilities,
	})
	expect(t, err, "8.1")
}
