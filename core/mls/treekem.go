package mls

import (
	"bytes"
	"crypto"
	"crypto/subtle"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// privateKeys are the HPKE private keys a member knows: of its own leaf and of
// nodes on its direct path.
type privateKeys map[nodeIndex][]byte

func (k privateKeys) wipe() {
	for _, private := range k {
		clear(private)
	}
}

// newPath is an update path in the making (RFC 9420 §7.4, §7.5).
type newPath struct {
	steps        []pathStep
	secrets      [][]byte // path secret of each step
	path         updatePath
	keys         privateKeys
	commitSecret []byte
}

// createPath gives leaf a fresh key and new keys to the filtered direct path of
// own, puts them into the tree and signs the leaf. The path secrets are still to be sealed.
func (t *ratchetTree) createPath(own LeafIndex, leaf *LeafNode, signer crypto.Signer, groupID []byte) (*newPath, error) {
	s := t.suite
	p := &newPath{steps: t.filteredPath(own), keys: privateKeys{}}
	private, public, err := s.generateKeyPair()
	if err != nil {
		return nil, err
	}
	p.keys[own.node()] = private
	secret := s.randomSecret()
	for _, step := range p.steps {
		private, public, err := s.nodeKeyPair(secret)
		if err != nil {
			return nil, err
		}
		p.keys[step.node] = private
		p.secrets = append(p.secrets, secret)
		p.path.nodes = append(p.path.nodes, updatePathNode{publicKey: public})
		secret = s.deriveSecret(secret, "path")
	}
	p.commitSecret = secret

	parentHash := t.setPath(own, p.steps, p.path.nodes)
	fresh := *leaf
	fresh.raw, fresh.EncryptionKey, fresh.Source, fresh.parentHash = nil, public, SourceCommit, parentHash
	fresh.Lifetime = Lifetime{}
	if err := fresh.sign(s, signer, groupID, own); err != nil {
		return nil, err
	}
	p.path.leaf = &fresh
	t.set(own.node(), node{leaf: &fresh})
	return p, nil
}

// nodeKeyPair derives a node's keys from its path secret.
func (s *suite) nodeKeyPair(pathSecret []byte) (private, public []byte, err error) {
	nodeSecret := s.deriveSecret(pathSecret, "node")
	defer clear(nodeSecret)
	return s.kem.deriveKeyPair(nodeSecret)
}

// setPath blanks the direct path of a leaf but for the steps, which get these
// keys and their parent hashes, and returns the parent hash for the leaf.
func (t *ratchetTree) setPath(leaf LeafIndex, steps []pathStep, nodes []updatePathNode) []byte {
	var parentHash []byte
	k := len(steps) - 1
	t.changePath(leaf, func(x nodeIndex, old node) node {
		switch {
		case x.isLeaf():
			return old
		case k < 0 || steps[k].node != x:
			return node{}
		}
		p := &parentNode{encryptionKey: bytes.Clone(nodes[k].publicKey), parentHash: parentHash}
		parentHash = t.parentHashOf(p, steps[k].copath)
		k--
		return node{parent: p}
	})
	return parentHash
}

// recipients is the resolution of a copath node without the leaves just added.
func (t *ratchetTree) recipients(copath nodeIndex, added []LeafIndex) []nodeIndex {
	res := t.resolution(copath)
	if len(added) == 0 {
		return res
	}
	return slices.DeleteFunc(res, func(x nodeIndex) bool {
		if !x.isLeaf() {
			return false
		}
		_, isNew := slices.BinarySearch(added, x.leaf())
		return isNew
	})
}

// countRecipients is the length of recipients.
func (t *ratchetTree) countRecipients(copath nodeIndex, added []LeafIndex) int {
	first, n := copath.span()
	return int(t.at(copath).resolution()) - countWithin(added, first, first+LeafIndex(n))
}

// recipient finds the first of the recipients of which own knows a private key,
// and its place among them; ok is false where there is none.
func (t *ratchetTree) recipient(copath nodeIndex, own LeafIndex, keys privateKeys, added []LeafIndex) (place int, x nodeIndex, ok bool) {
	start, _ := copath.span()
	s, x := t.at(copath), copath
	for ; s != nil && s.blank() && !x.isLeaf(); x = x.childTo(own) {
		if own.node() < x {
			s = s.left
		} else {
			place += int(s.left.resolution())
			s = s.right
		}
	}
	if s == nil || s.blank() {
		return 0, 0, false
	}
	first, _ := x.span()
	if keys[x] != nil {
		return place - countWithin(added, start, first), x, true
	}
	if s.parent == nil || keys[own.node()] == nil {
		return 0, 0, false
	}
	k, unmerged := slices.BinarySearch(s.parent.unmerged, own)
	return place + 1 + k - countWithin(added, start, own), own.node(), unmerged
}

// countWithin counts the leaves of an ascending list from first to before end.
func countWithin(list []LeafIndex, first, end LeafIndex) int {
	from, _ := slices.BinarySearch(list, first)
	to, _ := slices.BinarySearch(list, end)
	return to - from
}

// seal encrypts the path secrets to all recipients, over all cores.
func (p *newPath) seal(t *ratchetTree, added []LeafIndex, context []byte) error {
	type job struct {
		step, at int
		public   []byte
	}
	var jobs []job
	for k, step := range p.steps {
		to := t.recipients(step.copath, added)
		p.path.nodes[k].secrets = make([]hpkeCiphertext, len(to))
		for i, x := range to {
			jobs = append(jobs, job{k, i, t.node(x).encryptionKey()})
		}
	}
	return inParallel(len(jobs), func(i int) (err error) {
		j := jobs[i]
		p.path.nodes[j.step].secrets[j.at], err = t.suite.encryptWithLabel(j.public, "UpdatePathNode", context, p.secrets[j.step])
		return err
	})
}

// inParallel calls f for 0 to n-1 over all cores, in this order, and ends with
// the first error, that of the least i. No goroutine outlives it.
func inParallel(n int, f func(int) error) error {
	var (
		next   atomic.Int64
		mu     sync.Mutex
		failed = n
		first  error
		wg     sync.WaitGroup
	)
	work := func() {
		for {
			i := int(next.Add(1)) - 1
			if i >= n {
				return
			}
			err := f(i)
			if err == nil {
				continue
			}
			mu.Lock()
			defer mu.Unlock()
			if i < failed {
				failed, first = i, err
			}
			return
		}
	}
	for range min(runtime.GOMAXPROCS(0), n) - 1 {
		wg.Go(work)
	}
	work()
	wg.Wait()
	return first
}

func (p *newPath) wipe() {
	for _, secret := range p.secrets {
		clear(secret)
	}
	clear(p.commitSecret)
}

// applyPath puts another member's update path into the tree (§7.5, §12.4.2)
// and checks its shape, keys and parent hashes. The leaf's signature and
// credential are the caller's to check.
func (t *ratchetTree) applyPath(committer LeafIndex, p *updatePath, added []LeafIndex) ([]pathStep, error) {
	steps := t.filteredPath(committer)
	if len(steps) != len(p.nodes) {
		return nil, invalid("12.4.2", "update path has %d nodes, the filtered direct path %d", len(p.nodes), len(steps))
	}
	for k, n := range p.nodes {
		if !t.suite.validPublicKey(n.publicKey) {
			return nil, invalid("7.6", "key of an update path node is not a key")
		}
		if want := t.countRecipients(steps[k].copath, added); len(n.secrets) != want {
			return nil, invalid("7.6", "update path node has %d ciphertexts for %d recipients", len(n.secrets), want)
		}
	}
	parentHash := t.setPath(committer, steps, p.nodes)
	if !bytes.Equal(parentHash, p.leaf.parentHash) {
		return nil, invalid("7.9.2", "parent hash of the update path's leaf does not fit")
	}
	t.set(committer.node(), node{leaf: t.own(p.leaf)})
	for x := committer.node(); ; x = x.parent() {
		if n := t.node(x); !n.blank() && t.census.count(countEncryptionKey, keyID(n.encryptionKey())) != 1 {
			return nil, invalid("12.4.2", "a key of the update path is in the tree already")
		}
		if x == t.root() {
			return steps, nil
		}
	}
}

// openPath decrypts the path secret meant for own and derives the keys above it
// (§7.5). t has the path applied; keys are those of before.
func (t *ratchetTree) openPath(own LeafIndex, keys privateKeys, steps []pathStep, p *updatePath, added []LeafIndex, context []byte) (privateKeys, []byte, error) {
	k := slices.IndexFunc(steps, func(s pathStep) bool { return s.copath.covers(own) })
	if k < 0 {
		return nil, nil, invalid("12.4.2", "update path does not reach this member")
	}
	i, x, ok := t.recipient(steps[k].copath, own, keys, added)
	if !ok {
		return nil, nil, invalid("12.4.2", "update path has no ciphertext for this member")
	}
	secret, err := t.suite.decryptWithLabel(keys[x], "UpdatePathNode", context, p.nodes[k].secrets[i])
	if err != nil {
		return nil, nil, err
	}
	return t.deriveUp(steps[k:], secret)
}

// deriveUp derives the keys of these steps from the first one's path secret,
// checks them against the tree and returns them with the commit secret.
func (t *ratchetTree) deriveUp(steps []pathStep, secret []byte) (privateKeys, []byte, error) {
	derived := privateKeys{}
	if len(secret) != t.suite.nh {
		clear(secret)
		return nil, nil, invalid("7.4", "path secret of %d bytes", len(secret))
	}
	for _, step := range steps {
		private, public, err := t.suite.nodeKeyPair(secret)
		if err != nil {
			return nil, nil, err
		}
		derived[step.node] = private
		if n := t.node(step.node); n.parent == nil || subtle.ConstantTimeCompare(public, n.parent.encryptionKey) != 1 {
			clear(secret)
			derived.wipe()
			return nil, nil, invalid("12.4.2", "path secret does not fit the public key of node %d", step.node)
		}
		next := t.suite.deriveSecret(secret, "path")
		clear(secret)
		secret = next
	}
	return derived, secret, nil
}

// carry adds to fresh those of the keys that are still the keys of their nodes
// in next.
func (k privateKeys) carry(fresh privateKeys, prev, next *ratchetTree) privateKeys {
	for x, private := range k {
		was, is := prev.node(x), next.node(x)
		if fresh[x] != nil || was.blank() || is.blank() {
			continue
		}
		if was == is || bytes.Equal(was.encryptionKey(), is.encryptionKey()) {
			fresh[x] = private
		}
	}
	return fresh
}
