package mls

// publicMessage is PublicMessage of RFC 9420 §6.2.
type publicMessage struct {
	authenticatedContent
	membershipTag []byte // of members
}

func (m *publicMessage) encode(w *writer) {
	m.content.encode(w)
	m.encodeAuth(w)
	if m.content.sender.typ == SenderMember {
		w.vec(m.membershipTag)
	}
}

func readPublicMessage(r *reader) *publicMessage {
	m := &publicMessage{authenticatedContent: authenticatedContent{wireFormat: wirePublic, content: readFramedContent(r)}}
	m.readAuth(r)
	if m.content.sender.typ == SenderMember {
		m.membershipTag = r.vec()
	}
	return m
}

// tbm is AuthenticatedContentTBM.
func (m *publicMessage) tbm(context []byte) []byte {
	w := writer{b: m.tbs(context)}
	m.encodeAuth(&w)
	return w.b
}

func (m *publicMessage) authenticate(s *suite, membershipKey, context []byte) {
	m.membershipTag = s.mac(membershipKey, m.tbm(context))
}

func (m *publicMessage) verifyMembership(s *suite, membershipKey, context []byte) bool {
	return s.verifyMAC(membershipKey, m.tbm(context), m.membershipTag)
}
