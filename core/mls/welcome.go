package mls

// groupSecrets is GroupSecrets of RFC 9420 §12.4.3.1.
type groupSecrets struct {
	joinerSecret []byte
	pathSecret   []byte // nil where there is none
	psks         []pskID
}

func (g *groupSecrets) encode(w *writer) {
	w.vec(g.joinerSecret)
	w.optional(g.pathSecret != nil)
	if g.pathSecret != nil {
		w.vec(g.pathSecret)
	}
	writeList(w, g.psks)
}

func readGroupSecrets(r *reader) *groupSecrets {
	g := &groupSecrets{joinerSecret: r.vec()}
	if r.optional() {
		g.pathSecret = r.vec()
	}
	g.psks = readList(r, readPSKID)
	return g
}

type encryptedGroupSecrets struct {
	newMember []byte // KeyPackageRef
	secrets   hpkeCiphertext
}

func (e encryptedGroupSecrets) encode(w *writer) {
	w.vec(e.newMember)
	e.secrets.encode(w)
}

func readEncryptedGroupSecrets(r *reader) encryptedGroupSecrets {
	return encryptedGroupSecrets{newMember: r.vec(), secrets: readHPKECiphertext(r)}
}

// welcome is Welcome of §12.4.3.1.
type welcome struct {
	suite     Suite
	secrets   []encryptedGroupSecrets
	groupInfo []byte // encrypted
}

func (m *welcome) encode(w *writer) {
	w.u16(uint16(m.suite))
	writeList(w, m.secrets)
	w.vec(m.groupInfo)
}

func readWelcome(r *reader) *welcome {
	return &welcome{suite: Suite(r.u16()), secrets: readList(r, readEncryptedGroupSecrets), groupInfo: r.vec()}
}

// openSecrets decrypts the GroupSecrets for a KeyPackage.
func (m *welcome) openSecrets(s *suite, ref, initPrivate []byte) (*groupSecrets, error) {
	for _, e := range m.secrets {
		if string(e.newMember) != string(ref) {
			continue
		}
		b, err := s.decryptWithLabel(initPrivate, "Welcome", m.groupInfo, e.secrets)
		if err != nil {
			return nil, err
		}
		secrets, err := unmarshal(b, readGroupSecrets)
		if err != nil {
			clear(b)
		}
		return secrets, err
	}
	return nil, ErrNoKeyPackage
}

func (m *welcome) openGroupInfo(s *suite, welcomeSecret []byte) (*groupInfo, error) {
	key, nonce := s.welcomeKey(welcomeSecret)
	defer clear(key)
	b, err := s.open(key, nonce, nil, m.groupInfo)
	if err != nil {
		return nil, err
	}
	return unmarshal(b, readGroupInfo)
}

// welcome makes the Welcome for those added, nil if there is nobody (§12.4.3.1).
func (g *Group) welcome(out *outcome, path *newPath, next *epoch, j joiner, withTree bool) ([]byte, error) {
	if len(out.added) == 0 {
		return nil, nil
	}
	s := g.suite
	var extensions []Extension
	if withTree {
		extensions = []Extension{{Type: ExtRatchetTree, Data: marshal(out.tree)}}
	}
	info, err := next.groupInfo(s, g.signer, g.own, extensions)
	if err != nil {
		return nil, err
	}
	key, nonce := s.welcomeKey(j.welcomeSecret)
	defer clear(key)
	encrypted, err := s.seal(key, nonce, nil, marshal(info))
	if err != nil {
		return nil, err
	}
	w := &welcome{suite: s.id, groupInfo: encrypted, secrets: make([]encryptedGroupSecrets, len(out.added))}
	err = inParallel(len(out.added), func(i int) (err error) {
		secrets := marshalSecret(&groupSecrets{joinerSecret: j.joinerSecret, pathSecret: path.secretFor(out.added[i]), psks: out.psks})
		defer clear(secrets)
		kp := out.joiners[i]
		w.secrets[i].newMember = s.keyPackageRef(kp.raw)
		w.secrets[i].secrets, err = s.encryptWithLabel(kp.initKey, "Welcome", encrypted, secrets)
		return err
	})
	if err != nil {
		return nil, err
	}
	return marshal(&message{wireFormat: wireWelcome, welcome: w}), nil
}

// secretFor gives the path secret of the lowest node of the path above a leaf,
// nil where there is no path.
func (p *newPath) secretFor(leaf LeafIndex) []byte {
	for k, step := range p.steps {
		if step.node.covers(leaf) {
			return p.secrets[k]
		}
	}
	return nil
}
