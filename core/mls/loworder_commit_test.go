package mls

import (
	"bytes"
	"testing"
)

// Nobody can keep others from committing by a key that nothing can be sealed to.
func TestLowOrderKeyBlocksNobody(t *testing.T) {
	for _, suite := range []Suite{SuiteX25519, SuiteX448, SuiteXWing} {
		t.Run(suite.String(), func(t *testing.T) {
			peers := newGroupOf(t, suite, 3)
			mallory, bob, carol := peers[0], peers[1], peers[2]
			good := bob.g.cur.tree.leaf(0).EncryptionKey
			point := lowOrderPoints(suite == SuiteX448)[0]
			key := append(bytes.Clone(good[:len(good)-len(point)]), point...)
			m := mallory.forgeUpdate(func(l *LeafNode) { l.EncryptionKey = key }, mallory.g.own)
			bob.refusesFor(m, "7.3")
			carol.refusesFor(m, "7.3")

			eve := newPeer(t, suite, "eve")
			eve.keyPackage()
			kp := *eve.bundle.kp
			kp.initKey, kp.raw = key, nil
			var err error
			if kp.signature, err = bob.g.suite.signWithLabel(eve.signer, "KeyPackageTBS", kp.tbs()); err != nil {
				t.Fatal(err)
			}
			var w writer
			kp.encodeUnsigned(&w)
			w.vec(kp.signature)
			kp.raw = w.b
			m = mallory.forgeProposal(&Proposal{typ: ProposalAdd, keyPackage: &kp})
			bob.refusesFor(m, "10")
			carol.refusesFor(m, "10")

			s := bob.commit(CommitOptions{})
			bob.merge()
			carol.process(s.Message)
			agree(t, bob, carol)
		})
	}
}
