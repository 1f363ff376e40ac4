package mls

// groupContext is GroupContext of RFC 9420 §8.1.
type groupContext struct {
	suite                   Suite
	groupID                 []byte
	epoch                   uint64
	treeHash                []byte
	confirmedTranscriptHash []byte
	extensions              []Extension
}

func (c *groupContext) encode(w *writer) {
	w.u16(protocolVersion)
	w.u16(uint16(c.suite))
	w.vec(c.groupID)
	w.u64(c.epoch)
	w.vec(c.treeHash)
	w.vec(c.confirmedTranscriptHash)
	writeList(w, c.extensions)
}

func readGroupContext(r *reader) groupContext {
	if v := r.u16(); r.err == nil && v != protocolVersion {
		r.fail("group context of version %d", v)
	}
	return groupContext{
		suite: Suite(r.u16()), groupID: r.vec(), epoch: r.u64(), treeHash: r.vec(),
		confirmedTranscriptHash: r.vec(), extensions: readList(r, readExtension),
	}
}
