package mls

import "crypto"

type contentType uint8

const (
	contentApplication contentType = 1
	contentProposal    contentType = 2
	contentCommit      contentType = 3
)

// SenderType tells what a sender is to the group (RFC 9420 §6).
type SenderType uint8

// The types of senders. All but members are outside of the group: what they may
// do is a proposal, or the commit by which they join.
const (
	SenderMember            SenderType = 1
	SenderExternal          SenderType = 2 // one of those that the group's external_senders extension lists
	SenderNewMemberProposal SenderType = 3 // proposes that it be added
	SenderNewMemberCommit   SenderType = 4 // joins by an external commit
)

// sender is Sender of §6; index counts for members, whose leaf it is, and for
// external senders, whose place in the extension it is. It is 0 for all others.
type sender struct {
	typ   SenderType
	index uint32
}

func memberSender(i LeafIndex) sender { return sender{SenderMember, uint32(i)} }

// isMember tells whether this is the member at leaf i.
func (s sender) isMember(i LeafIndex) bool { return s == memberSender(i) }

// leaf is the leaf of a member.
func (s sender) leaf() LeafIndex { return LeafIndex(s.index) }

func (s sender) encode(w *writer) {
	w.u8(uint8(s.typ))
	if s.typ == SenderMember || s.typ == SenderExternal {
		w.u32(s.index)
	}
}

func readSender(r *reader) sender {
	s := sender{typ: SenderType(r.u8())}
	switch s.typ {
	case SenderMember, SenderExternal:
		s.index = r.u32()
	case SenderNewMemberProposal, SenderNewMemberCommit:
	default:
		r.fail("bad sender type %d", s.typ)
	}
	return s
}

// framedContent is FramedContent of §6. body is the encoding of what it
// carries; one of application, proposal and commit is its meaning.
type framedContent struct {
	groupID []byte
	epoch   uint64
	sender  sender
	aad     []byte
	typ     contentType
	body    []byte

	application []byte
	proposal    *Proposal
	commit      *commit
}

func (c *framedContent) encode(w *writer) {
	w.vec(c.groupID)
	w.u64(c.epoch)
	c.sender.encode(w)
	w.vec(c.aad)
	w.u8(uint8(c.typ))
	w.raw(c.body)
}

func readFramedContent(r *reader) framedContent {
	c := framedContent{groupID: r.vec(), epoch: r.u64(), sender: readSender(r), aad: r.vec(), typ: contentType(r.u8())}
	c.readBody(r)
	return c
}

func (c *framedContent) readBody(r *reader) {
	start := r.b
	switch c.typ {
	case contentApplication:
		c.application = r.vec()
	case contentProposal:
		c.proposal = readProposal(r)
	case contentCommit:
		c.commit = readCommit(r)
	default:
		r.fail("bad content type %d", c.typ)
	}
	if r.err == nil {
		c.body = r.since(start)
	}
}

// authenticatedContent is AuthenticatedContent of §6.
type authenticatedContent struct {
	wireFormat      uint16
	content         framedContent
	signature       []byte
	confirmationTag []byte // of a commit
}

func (c *authenticatedContent) encode(w *writer) {
	w.u16(c.wireFormat)
	c.content.encode(w)
	c.encodeAuth(w)
}

// encodeAuth writes FramedContentAuthData.
func (c *authenticatedContent) encodeAuth(w *writer) {
	w.vec(c.signature)
	if c.content.typ == contentCommit {
		w.vec(c.confirmationTag)
	}
}

func (c *authenticatedContent) readAuth(r *reader) {
	c.signature = r.vec()
	if c.content.typ == contentCommit {
		c.confirmationTag = r.vec()
	}
}

func readAuthenticatedContent(r *reader) *authenticatedContent {
	c := &authenticatedContent{wireFormat: r.u16(), content: readFramedContent(r)}
	c.readAuth(r)
	return c
}

// tbs is FramedContentTBS; context is the encoded GroupContext.
func (c *authenticatedContent) tbs(context []byte) []byte {
	w := writer{b: make([]byte, 0, len(c.content.body)+len(context)+len(c.content.aad)+len(c.content.groupID)+32)}
	w.u16(protocolVersion)
	w.u16(c.wireFormat)
	c.content.encode(&w)
	if c.content.sender.typ == SenderMember || c.content.sender.typ == SenderNewMemberCommit {
		w.raw(context)
	}
	return w.b
}

func (c *authenticatedContent) sign(s *suite, signer crypto.Signer, context []byte) (err error) {
	c.signature, err = s.signWithLabel(signer, "FramedContentTBS", c.tbs(context))
	return err
}

func (c *authenticatedContent) verify(s *suite, signatureKey, context []byte) bool {
	return s.verifyWithLabel(signatureKey, "FramedContentTBS", c.tbs(context), c.signature)
}
