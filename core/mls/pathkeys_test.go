package mls

import "testing"

// TestPathKeysOfOldPath merges paths whose committer uses a key again that its own
// path has had: the new path replaces it, and yet it is not new to the tree.
func TestPathKeysOfOldPath(t *testing.T) {
	peers := newGroupOf(t, SuiteX25519, 4)
	mallory := peers[0].g
	mallory.cur.tree.rootHash()
	old := mallory.cur.tree.node(mallory.cur.tree.root()).encryptionKey()
	if old == nil {
		t.Fatal("no path to repeat")
	}
	for name, edit := range map[string]func(*newPath){
		"nothing": func(*newPath) {},
		"a parent's key at its old place": func(p *newPath) {
			p.path.nodes[len(p.path.nodes)-1].publicKey = old
		},
		"a parent's key further down": func(p *newPath) { p.path.nodes[0].publicKey = old },
		"a parent's key in the leaf":  func(p *newPath) { p.path.leaf.EncryptionKey = old },
	} {
		out, err := mallory.apply(memberSender(mallory.own), nil)
		if err != nil {
			t.Fatal(err)
		}
		receiver := out.tree.clone()
		path, err := mallory.newPath(out, nil)
		if err != nil {
			t.Fatal(err)
		}
		edit(path)
		leaf := path.path.leaf
		leaf.raw, leaf.parentHash = nil, out.tree.setPath(mallory.own, path.steps, path.path.nodes)
		if err := leaf.sign(mallory.suite, mallory.signer, mallory.cur.context.groupID, mallory.own); err != nil {
			t.Fatal(err)
		}
		_, err = receiver.applyPath(mallory.own, &path.path, nil)
		if name == "nothing" {
			if err != nil {
				t.Errorf("a good path: %v", err)
			}
			continue
		}
		t.Run(name, func(t *testing.T) { expect(t, err, "12.4.2") })
	}
}
