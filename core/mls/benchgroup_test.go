package mls

import (
	"crypto"
	"fmt"
	"maps"
	"slices"
	"testing"
)

// madeGroup is a group of any size that was put together instead of grown: its
// first n-1 leaves are made here, in a tree as valid as any, and the last
// member is added by the first in an ordinary commit and joins by its Welcome.
type madeGroup struct {
	s       *suite
	n       int
	signers []crypto.Signer // of the first n-1
	alice   *peer           // at leaf 0
	bob     *peer           // the last leaf
	bundle  *KeyPackageBundle
	welcome []byte
	// apart is another way in, with the tree not in the Welcome.
	apart     *StagedCommit
	apartTree []byte
	secrets   map[nodeIndex][]byte // of the secret tree that alice and bob start from
	chain     [][]byte             // alice's next commits, each of an update
	records   records              // bob's, before the chain

	laps        laps // of the benchmark that has the group
	most, limit int  // bytes that it took, and how many it may
}

// Shapes of a made group: flat, where all were added in one commit, and warm,
// where all have updated since.
const (
	flat = "flat"
	warm = "warm"
)

func makeGroup(t testing.TB, id Suite, shape string, n int) *madeGroup {
	s, err := suiteOf(id)
	if err != nil {
		t.Fatal(err)
	}
	m := &madeGroup{s: s, n: n, signers: make([]crypto.Signer, n-1)}
	m.alice, m.bob = newPeer(t, id, "alice"), newPeer(t, id, "bob")
	m.start(shape)
	m.bob.keyPackage()
	m.bundle = m.bob.bundle
	m.apart = m.alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(m.bundle.KeyPackage())}, OmitTree: true})
	if m.apartTree, err = m.apart.RatchetTree(); err != nil {
		t.Fatal(err)
	}
	m.alice.g.DiscardPending()
	added := m.alice.commit(CommitOptions{Proposals: []Proposal{AddProposal(m.bundle.KeyPackage())}})
	m.welcome = added.Welcome
	m.alice.merge()
	m.bob.join(m.welcome)
	if shape == warm {
		m.alice.process(m.bob.commit(CommitOptions{}).Message)
		m.bob.merge()
	}
	agree(t, m.alice, m.bob)
	m.secrets = map[nodeIndex][]byte{}
	for x, secret := range m.alice.g.keys.nodes {
		m.secrets[x] = slices.Clone(secret)
	}
	m.records = maps.Clone(m.bob.store)
	return m
}

// start makes alice's group without bob.
func (m *madeGroup) start(shape string) {
	id := []byte("a group")
	nodes := make([]node, 2*m.n-3)
	private := make([][]byte, len(nodes))
	check := func(err error) {
		if err != nil {
			m.alice.t.Fatal(err)
		}
	}
	check(inParallel(len(nodes), func(x int) (err error) {
		switch i := nodeIndex(x).leaf(); {
		case nodeIndex(x).isLeaf():
			nodes[x].leaf, private[x], err = m.newLeaf(i, id)
		case shape == warm:
			nodes[x].parent = &parentNode{}
			private[x], nodes[x].parent.encryptionKey, err = m.s.generateKeyPair()
		}
		return err
	}))
	tree := treeOf(m.s, nodes, nil)
	if shape == warm {
		check(m.warmUp(tree.top, tree.root(), nil, id))
		tree = treeOf(m.s, nodes, nil)
	}
	// What is read back shares memory as it does in a tree that came in a Welcome.
	tree, err := parseTree(m.s, marshal(tree))
	check(err)
	secrets := m.s.secretsOf(m.s.randomSecret())
	e := &epoch{tree: tree, secrets: secrets, keys: privateKeys{0: private[0]}}
	for _, step := range tree.filteredPath(0) {
		if key := private[step.node]; key != nil {
			e.keys[step.node] = key
		}
	}
	e.context = groupContext{suite: m.s.id, groupID: id, treeHash: tree.rootHash()}
	e.contextRaw = marshal(&e.context)
	e.confirmationTag = m.s.mac(secrets.confirmation, nil)
	e.interim = m.s.interimHash(nil, e.confirmationTag)
	m.alice.signer = m.signers[0]
	cfg, err := m.alice.cfg.withDefaults()
	check(err)
	m.alice.g = newGroup(cfg, m.s, m.alice.signer, 0, e)
	m.alice.save()
}

func (m *madeGroup) newLeaf(i LeafIndex, groupID []byte) (*LeafNode, []byte, error) {
	signer, err := GenerateSigner(m.s.id)
	if err != nil {
		return nil, nil, err
	}
	m.signers[i] = signer
	c := BasicCredential([]byte(fmt.Sprintf("member %d", i)))
	leaf, private, err := newLeaf(m.s, signer, c, nil, ownCapabilities(testCapabilities, nil, nil, c.Type))
	if err != nil {
		return nil, nil, err
	}
	return leaf, private, leaf.sign(m.s, signer, groupID, i)
}

// warmUp gives the nodes below and at x the parent hashes that they would have
// if the leaves had updated one after the other, from left to right.
func (m *madeGroup) warmUp(s *subtree, x nodeIndex, parentHash []byte, groupID []byte) error {
	if s == nil {
		return nil
	}
	if s.leaf != nil {
		s.leaf.raw, s.leaf.Source, s.leaf.Lifetime, s.leaf.parentHash = nil, SourceCommit, Lifetime{}, parentHash
		return s.leaf.sign(m.s, m.signers[x.leaf()], groupID, x.leaf())
	}
	if s.parent == nil { // beyond the last leaf
		return m.warmUp(s.left, x.left(), parentHash, groupID)
	}
	s.parent.parentHash = parentHash
	if err := m.warmUp(s.left, x.left(), m.s.randomSecret(), groupID); err != nil {
		return err
	}
	var w writer
	w.vec(s.parent.encryptionKey)
	w.vec(parentHash)
	w.vec(m.s.newTreeHasher().of(&s.left, x.left()))
	return m.warmUp(s.right, x.right(), m.s.digest(w.b), groupID)
}

// extend makes alice commit updates that bob can follow.
func (m *madeGroup) extend(commits int) {
	for len(m.chain) < commits {
		s := m.alice.commit(CommitOptions{})
		m.chain = append(m.chain, s.Message)
		m.alice.merge()
	}
}

// rewind takes bob back to before the chain.
func (m *madeGroup) rewind() {
	m.bob.store = maps.Clone(m.records)
	m.bob.restore()
}

// secretTree is the secret tree of the epoch that bob is in after rewind, unused.
func (m *madeGroup) secretTree() *secretTree {
	t := emptySecretTree(m.s, m.bob.g.cur.context.epoch, m.bob.g.cur.tree.leaves())
	for x, secret := range m.secrets {
		t.nodes[x] = slices.Clone(secret)
	}
	return t
}

// from makes a message of another member in the epoch that bob is in after rewind.
func (m *madeGroup) from(t testing.TB, i LeafIndex, text []byte) []byte {
	g := *m.bob.g
	g.own, g.signer, g.log = i, m.signers[i], changeLog{}
	g.keys = m.secretTree()
	message, err := g.Seal(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// The groups of the benchmarks are groups like any other.
func TestMadeGroup(t *testing.T) {
	for _, shape := range []string{flat, warm} {
		for _, n := range []int{2, 3, 4, 5, 9, 20, 65} {
			t.Run(fmt.Sprint(shape, n), func(t *testing.T) {
				m := makeGroup(t, SuiteX25519, shape, n)
				if got := m.bob.g.MemberCount(); got != n {
					t.Errorf("%d members", got)
				}
				if err := m.bob.g.cur.tree.validate([]byte("a group")); err != nil {
					t.Error(err)
				}
				if path := m.bob.g.cur.tree.filteredPath(0); shape == warm {
					for _, step := range path {
						if m.bob.g.cur.tree.node(step.node).blank() {
							t.Errorf("node %d is blank", step.node)
						}
					}
				}
				m.extend(2)
				for _, c := range m.chain {
					m.bob.process(c)
				}
				agree(t, m.alice, m.bob)
				m.rewind()
				if n > 2 {
					a, ok := m.bob.process(m.from(t, 1, []byte("hello"))).(*Application)
					if !ok || string(a.Data) != "hello" || a.Sender != 1 {
						t.Errorf("bob hears %+v", a)
					}
				}
			})
		}
	}
}
