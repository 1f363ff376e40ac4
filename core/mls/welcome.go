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
