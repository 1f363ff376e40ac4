package mls

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"testing"
)

func TestJoinValidation(t *testing.T) {
	const suite = SuiteX25519
	peers := newGroupOf(t, suite, 4)
	alice, dave := peers[0], newPeer(t, suite, "dave")
	staged := alice.commit(CommitOptions{Proposals: []Proposal{
		RemoveProposal(2), AddProposal(dave.keyPackage()), GroupContextExtensionsProposal([]Extension{{Type: extTest}}),
	}})
	s := alice.g.suite
	// rewrap opens the Welcome, lets edit falsify it, and closes it with valid signature and tag.
	rewrap := func(edit func(*groupInfo, *groupSecrets), after func(*groupInfo)) []byte {
		m, err := unmarshal(bytes.Clone(staged.Welcome), readMessage)
		if err != nil {
			t.Fatal(err)
		}
		secrets, err := m.welcome.openSecrets(s, dave.bundle.Ref(), dave.bundle.initPrivate)
		if err != nil {
			t.Fatal(err)
		}
		info, err := m.welcome.openGroupInfo(s, s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil)).welcomeSecret)
		if err != nil {
			t.Fatal(err)
		}
		edit(info, secrets)
		j := s.joinerFrom(secrets.joinerSecret, s.pskSecret(nil))
		epoch := s.epochOf(j, marshal(&info.context))
		info.confirmationTag = s.mac(epoch.confirmation, info.context.confirmedTranscriptHash)
		after(info)
		if err := info.sign(s, alice.signer); err != nil {
			t.Fatal(err)
		}
		if info.signer == 1<<30 {
			info.signer, info.signature[0] = 0, info.signature[0]^1
		}
		key, nonce := s.welcomeKey(j.welcomeSecret)
		m.welcome.groupInfo, _ = s.seal(key, nonce, nil, marshal(info))
		m.welcome.secrets[0].secrets, err = s.encryptWithLabel(dave.bundle.kp.initKey, "Welcome", m.welcome.groupInfo, marshal(secrets))
		if err != nil {
			t.Fatal(err)
		}
		return marshal(m)
	}
	nothing := func(*groupInfo) {}
	// retree replaces the tree by an edited one that fits the tree hash.
	retree := func(edit func(*ratchetTree)) []byte {
		return rewrap(func(info *groupInfo, _ *groupSecrets) {
			tree, err := parseTree(s, info.extensions[0].Data)
			if err != nil {
				t.Fatal(err)
			}
			edit(tree)
			info.extensions[0].Data = marshal(tree)
			info.context.treeHash = tree.rootHash()
		}, nothing)
	}
	reparent := func(edit func(*parentNode)) []byte {
		return retree(func(r *ratchetTree) {
			p := *r.node(1).parent
			edit(&p)
			r.set(1, node{parent: &p})
		})
	}
	releaf := func(edit func(*LeafNode)) []byte {
		return retree(func(r *ratchetTree) {
			l := *r.leaf(0)
			l.raw, l.Capabilities = nil, cloneCapabilities(l.Capabilities)
			edit(&l)
			if err := l.sign(s, alice.signer, alice.g.cur.context.groupID, 0); err != nil {
				t.Fatal(err)
			}
			r.set(0, node{leaf: &l})
		})
	}
	cases := []struct {
		name    string
		want    any
		welcome []byte
	}{
		{"nothing falsified", nil, rewrap(func(*groupInfo, *groupSecrets) {}, nothing)},
		{"tree hash", "12.4.3.1", rewrap(func(i *groupInfo, _ *groupSecrets) { i.context.treeHash = make([]byte, 32) }, nothing)},
		{"context suite", "12.4.3.1", rewrap(func(i *groupInfo, _ *groupSecrets) { i.context.suite = SuiteXWing }, nothing)},
		{"blank signer", "12.4.3.1", rewrap(func(i *groupInfo, _ *groupSecrets) { i.signer = 40 }, nothing)},
		{"other signer", ErrInvalidSignature, rewrap(func(i *groupInfo, _ *groupSecrets) { i.signer = 1 }, nothing)},
		{"signature", ErrInvalidSignature, rewrap(func(i *groupInfo, _ *groupSecrets) { i.signer = 1 << 30 }, nothing)},
		{"confirmation tag", ErrInvalidSignature, rewrap(func(*groupInfo, *groupSecrets) {}, func(i *groupInfo) { i.confirmationTag[0] ^= 1 })},
		{"extension twice", "13.4", rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.context.extensions = append(i.context.extensions, i.context.extensions[0])
		}, nothing)},
		{"extension not supported", "12.1.7", rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.context.extensions = []Extension{{Type: 0xF0FF}}
		}, nothing)},
		{"no tree", ErrNoTree, rewrap(func(i *groupInfo, _ *groupSecrets) { i.extensions = nil }, nothing)},
		{"path secret", "12.4.2", rewrap(func(_ *groupInfo, g *groupSecrets) { g.pathSecret[0] ^= 1 }, nothing)},
		{"path secret missing", "12.4.3.1", rewrap(func(_ *groupInfo, g *groupSecrets) { g.pathSecret = nil }, nothing)},
		{"short joiner secret", "8", rewrap(func(_ *groupInfo, g *groupSecrets) { g.joinerSecret = g.joinerSecret[1:] }, nothing)},
		{"PSK", ErrMissingPSK, rewrap(func(_ *groupInfo, g *groupSecrets) {
			g.psks = []pskID{{typ: pskExternal, id: []byte("id"), nonce: make([]byte, 32)}}
		}, nothing)},
		{"own leaf missing", "12.4.3.1", rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.extensions[0].Data = marshal(alice.g.cur.tree)
			i.context.treeHash, i.context.extensions = alice.g.cur.tree.rootHash(), nil
		}, nothing)},
		{"parent hash", "7.9.2", retree(func(r *ratchetTree) {
			p := *r.node(1).parent
			p.parentHash = make([]byte, 32)
			r.set(1, node{parent: &p})
		})},
		{"unmerged leaf", "12.4.3.1", retree(func(r *ratchetTree) {
			p := *r.node(1).parent
			p.unmerged = []LeafIndex{3}
			r.set(1, node{parent: &p})
		})},
		{"the same leaf twice", "7.3", retree(func(r *ratchetTree) { r.set(2, node{leaf: r.leaf(3)}) })},
		{"leaf signature", ErrInvalidSignature, retree(func(r *ratchetTree) {
			l := *r.leaf(0)
			l.raw = bytes.Clone(l.raw)
			l.raw[len(l.raw)-1] ^= 1
			r.set(0, node{leaf: &l})
		})},
		{"unmerged leaves out of order", "7.1", reparent(func(p *parentNode) { p.unmerged = []LeafIndex{1, 0} })},
		{"unmerged leaf twice", "7.1", reparent(func(p *parentNode) { p.unmerged = []LeafIndex{1, 1} })},
		{"unmerged leaf of another subtree", "12.4.3.1", reparent(func(p *parentNode) { p.unmerged = []LeafIndex{3} })},
		{"unmerged leaf beyond all trees", "12.4.3.1", retree(func(r *ratchetTree) {
			p := *r.node(3).parent
			p.unmerged = []LeafIndex{1<<31 | 2} // twice that is the node of leaf 2, in 32 bits
			r.set(3, node{parent: &p})
		})},
		{"key of a parent that is none", "7.1", reparent(func(p *parentNode) { p.encryptionKey = []byte("short") })},
		{"key of a parent replaced", "7.9.2", reparent(func(p *parentNode) {
			_, p.encryptionKey, _ = s.generateKeyPair()
		})},
		{"key of a parent twice", "7.3", reparent(func(p *parentNode) { p.encryptionKey = alice.g.cur.tree.leaf(1).EncryptionKey })},
		{"leaf's encryption key twice", "7.3", releaf(func(l *LeafNode) { l.EncryptionKey = alice.g.cur.tree.leaf(1).EncryptionKey })},
		{"leaf's encryption key that is none", "7.3", releaf(func(l *LeafNode) { l.EncryptionKey = nil })},
		{"leaf without the suite", "7.2", releaf(func(l *LeafNode) { l.Capabilities.Suites = nil })},
		{"leaf without the version", "7.2", releaf(func(l *LeafNode) { l.Capabilities.Versions = nil })},
		{"leaf's credential not among its capabilities", "7.3", releaf(func(l *LeafNode) { l.Capabilities.Credentials = nil })},
		{"leaf's extension not among its capabilities", "7.3", releaf(func(l *LeafNode) { l.Extensions = []Extension{{Type: 0xF0FF}} })},
		{"leaf's extension twice", "13.4", releaf(func(l *LeafNode) { l.Extensions = []Extension{{Type: 1}, {Type: 1}} })},
		{"leaf of another parent hash", "7.9.2", releaf(func(l *LeafNode) { l.parentHash = make([]byte, 32) })},
		{"leaf of an update over a path", "7.9.2", releaf(func(l *LeafNode) { l.Source, l.parentHash = SourceUpdate, nil })},
		{"group info extension twice", "13.4", rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.extensions = append(i.extensions, Extension{Type: 0x1a1a}, Extension{Type: 0x1a1a})
		}, nothing)},
		{"requirements malformed", ErrMalformed, rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.context.extensions = []Extension{{Type: ExtRequiredCapabilities, Data: []byte{1}}}
		}, nothing)},
		{"required capability that is lacking", "11.1", rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.context.extensions = []Extension{{Type: ExtRequiredCapabilities, Data: []byte{0, 2, 0xF0, 0xFF, 0}}}
		}, nothing)},
		{"signed by the newcomer", ErrInvalidSignature, rewrap(func(i *groupInfo, _ *groupSecrets) { i.signer = 2 }, nothing)},
		{"long path secret", "7.4", rewrap(func(_ *groupInfo, g *groupSecrets) { g.pathSecret = append(g.pathSecret, 0) }, nothing)},
		{"tree ends in a parent", "12.4.3.3", rewrap(func(i *groupInfo, _ *groupSecrets) {
			var w writer
			w.nested(func(w *writer) {
				w.u8(1)
				node{leaf: alice.g.cur.tree.leaf(0)}.encode(w)
				w.u8(1)
				node{parent: &parentNode{encryptionKey: make([]byte, 32)}}.encode(w)
			})
			i.extensions[0].Data = w.b
		}, nothing)},
		{"trailing bytes after the tree", ErrMalformed, rewrap(func(i *groupInfo, _ *groupSecrets) {
			i.extensions[0].Data = append(i.extensions[0].Data, 0)
		}, nothing)},
		{"tree ends in a blank", "12.4.3.3", rewrap(func(i *groupInfo, _ *groupSecrets) {
			var w writer
			w.vec([]byte{0})
			i.extensions[0].Data = w.b
		}, nothing)},
		{"leaf in a parent's place", "12.4.3.3", rewrap(func(i *groupInfo, _ *groupSecrets) {
			var w writer
			w.nested(func(w *writer) {
				for range 3 {
					w.u8(1)
					node{leaf: alice.g.cur.tree.leaf(0)}.encode(w)
				}
			})
			i.extensions[0].Data = w.b
		}, nothing)},
		{"garbled", ErrDecrypt, func() []byte {
			b := bytes.Clone(staged.Welcome)
			b[len(b)-1] ^= 1
			return b
		}()},
		{"cut", ErrMalformed, staged.Welcome[:len(staged.Welcome)-1]},
		{"a commit", ErrUnsupported, staged.Message},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Join(dave.cfg, dave.signer, dave.bundle, c.welcome, nil)
			if c.want == nil {
				if err != nil {
					t.Error(err)
				}
				return
			}
			expect(t, err, c.want)
		})
	}
	_, other, _ := ed25519.GenerateKey(rand.Reader)
	_, err := Join(dave.cfg, other, dave.bundle, staged.Welcome, nil)
	expect(t, err, ErrSigner)
	bare := rewrap(func(i *groupInfo, _ *groupSecrets) { i.extensions = nil }, nothing)
	used := dave.bundle
	dave.keyPackage()
	_, err = Join(dave.cfg, dave.signer, dave.bundle, staged.Welcome, nil)
	expect(t, err, ErrNoKeyPackage)
	if _, err = Join(Config{}, dave.signer, used, staged.Welcome, nil); err == nil {
		t.Error("joined without an authentication service")
	}
	xwing := newPeer(t, SuiteXWing, "dave")
	xwing.keyPackage()
	_, err = Join(xwing.cfg, xwing.signer, xwing.bundle, staged.Welcome, nil)
	expect(t, err, "12.4.3.1")

	// The tree may come beside the Welcome.
	if _, err := Join(dave.cfg, dave.signer, used, bare, marshal(staged.next.tree)); err != nil {
		t.Error(err)
	}
}
