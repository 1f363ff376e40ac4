package mls

// joiner is the middle of the key schedule (RFC 9420 §8): what a Welcome gives.
type joiner struct {
	joinerSecret  []byte
	memberSecret  []byte // Extract(joiner_secret, psk_secret)
	welcomeSecret []byte
}

// joinerOf advances from the previous epoch.
func (s *suite) joinerOf(initSecret, commitSecret, pskSecret, context []byte) joiner {
	pre := s.extract(initSecret, commitSecret)
	defer clear(pre)
	return s.joinerFrom(s.expandWithLabel(pre, "joiner", context, s.nh), pskSecret)
}

func (s *suite) joinerFrom(joinerSecret, pskSecret []byte) joiner {
	member := s.extract(joinerSecret, pskSecret)
	return joiner{joinerSecret: joinerSecret, memberSecret: member, welcomeSecret: s.deriveSecret(member, "welcome")}
}

func (s *suite) epochOf(j joiner, context []byte) *epochSecrets {
	epochSecret := s.expandWithLabel(j.memberSecret, "epoch", context, s.nh)
	defer clear(epochSecret)
	return s.secretsOf(epochSecret)
}

func (j *joiner) wipe() {
	clear(j.joinerSecret)
	clear(j.memberSecret)
	clear(j.welcomeSecret)
}

// welcomeKey returns key and nonce of the GroupInfo in a Welcome.
func (s *suite) welcomeKey(welcomeSecret []byte) (key, nonce []byte) {
	return s.expandWithLabel(welcomeSecret, "key", nil, s.nk), s.expandWithLabel(welcomeSecret, "nonce", nil, nn)
}

// epochSecrets are the secrets of an epoch (§8, table 4). The encryption secret
// is handed to the secret tree and kept there alone.
type epochSecrets struct {
	senderData    []byte
	encryption    []byte
	exporter      []byte
	external      []byte
	confirmation  []byte
	membership    []byte
	resumption    []byte
	authenticator []byte
	init          []byte
}

func (s *suite) secretsOf(epochSecret []byte) *epochSecrets {
	return &epochSecrets{
		senderData:    s.deriveSecret(epochSecret, "sender data"),
		encryption:    s.deriveSecret(epochSecret, "encryption"),
		exporter:      s.deriveSecret(epochSecret, "exporter"),
		external:      s.deriveSecret(epochSecret, "external"),
		confirmation:  s.deriveSecret(epochSecret, "confirm"),
		membership:    s.deriveSecret(epochSecret, "membership"),
		resumption:    s.deriveSecret(epochSecret, "resumption"),
		authenticator: s.deriveSecret(epochSecret, "authentication"),
		init:          s.deriveSecret(epochSecret, "init"),
	}
}

// stored lists the secrets that a record of the epoch holds.
func (e *epochSecrets) stored() []*[]byte {
	return []*[]byte{
		&e.senderData, &e.exporter, &e.external, &e.confirmation, &e.membership, &e.resumption, &e.authenticator, &e.init,
	}
}

func (e *epochSecrets) wipe() {
	for _, b := range e.stored() {
		clear(*b)
		*b = nil
	}
	clear(e.encryption)
	e.encryption = nil
}

// export is MLS-Exporter (§8.5).
func (s *suite) export(exporterSecret []byte, label string, context []byte, n int) []byte {
	secret := s.deriveSecret(exporterSecret, label)
	defer clear(secret)
	return s.expandWithLabel(secret, "exported", s.digest(context), n)
}

// maxExport is the longest output that every suite's HKDF can give.
const maxExport = 255 * 32
