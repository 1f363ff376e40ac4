package mls

import (
	"bytes"
	"slices"
)

// Extension types of RFC 9420 §17.3 and draft-ietf-mls-extensions.
const (
	ExtApplicationID        uint16 = 0x0001
	ExtRatchetTree          uint16 = 0x0002
	ExtRequiredCapabilities uint16 = 0x0003
	ExtExternalPub          uint16 = 0x0004
	ExtExternalSenders      uint16 = 0x0005
	ExtLastResort           uint16 = 0x000a
)

// Extension is an extension of a leaf, a KeyPackage, a GroupContext or a
// GroupInfo. Unknown types are carried.
type Extension struct {
	Type uint16
	Data []byte
}

func (e Extension) encode(w *writer) {
	w.u16(e.Type)
	w.vec(e.Data)
}

func readExtension(r *reader) Extension {
	return Extension{Type: r.u16(), Data: r.vec()}
}

func findExtension(list []Extension, typ uint16) ([]byte, bool) {
	for _, e := range list {
		if e.Type == typ {
			return e.Data, true
		}
	}
	return nil, false
}

func cloneExtensions(list []Extension) []Extension {
	out := make([]Extension, len(list))
	for i, e := range list {
		out[i] = Extension{Type: e.Type, Data: bytes.Clone(e.Data)}
	}
	return out
}

// checkExtensions refuses a type that occurs twice (RFC 9420 §13.4).
func checkExtensions(list []Extension) error {
	seen := make(map[uint16]struct{}, min(len(list), 1<<16))
	for _, e := range list {
		if _, twice := seen[e.Type]; twice {
			return invalid("13.4", "extension %#04x occurs twice", e.Type)
		}
		seen[e.Type] = struct{}{}
	}
	return nil
}

// A default extension or proposal type need not be listed in capabilities (§7.2).
func defaultExtension(typ uint16) bool { return typ >= 1 && typ <= 5 }
func defaultProposal(typ uint16) bool  { return typ >= 1 && typ <= 7 }

// Capabilities is what a member's software understands (RFC 9420 §7.2). Unknown
// ids, such as GREASE values, are carried and ignored.
type Capabilities struct {
	Versions    []uint16
	Suites      []uint16
	Extensions  []uint16
	Proposals   []uint16
	Credentials []uint16
}

func (c Capabilities) encode(w *writer) {
	w.u16s(c.Versions)
	w.u16s(c.Suites)
	w.u16s(c.Extensions)
	w.u16s(c.Proposals)
	w.u16s(c.Credentials)
}

// maxCapabilities bounds each list of capabilities: they are compared with each
// other, and nobody knows a thousand ids.
const maxCapabilities = 1024

func readCapabilities(r *reader) Capabilities {
	c := Capabilities{r.u16s(), r.u16s(), r.u16s(), r.u16s(), r.u16s()}
	for _, list := range [][]uint16{c.Versions, c.Suites, c.Extensions, c.Proposals, c.Credentials} {
		if len(list) > maxCapabilities {
			r.fail("%d capabilities of a kind", len(list))
		}
	}
	return c
}

func (c Capabilities) hasExtension(typ uint16) bool {
	return defaultExtension(typ) || slices.Contains(c.Extensions, typ)
}

func (c Capabilities) hasProposal(typ uint16) bool {
	return defaultProposal(typ) || slices.Contains(c.Proposals, typ)
}

// ownCapabilities is what this package understands, plus what the application adds.
func ownCapabilities(extra Capabilities, leaf, context []Extension, credential CredentialType) Capabilities {
	c := Capabilities{
		Versions:    []uint16{protocolVersion},
		Suites:      supportedSuites(),
		Extensions:  []uint16{ExtLastResort},
		Proposals:   []uint16{uint16(ProposalSelfRemove)},
		Credentials: []uint16{uint16(CredentialBasic)},
	}
	for _, e := range slices.Concat(leaf, context) {
		c.Extensions = merge(c.Extensions, e.Type)
	}
	c.Versions = merge(c.Versions, extra.Versions...)
	c.Suites = merge(c.Suites, extra.Suites...)
	c.Extensions = merge(c.Extensions, extra.Extensions...)
	c.Extensions = slices.DeleteFunc(c.Extensions, defaultExtension)
	c.Proposals = merge(c.Proposals, extra.Proposals...)
	c.Credentials = merge(c.Credentials, uint16(credential))
	c.Credentials = merge(c.Credentials, extra.Credentials...)
	return c
}

func merge(list []uint16, more ...uint16) []uint16 {
	for _, v := range more {
		if !slices.Contains(list, v) {
			list = append(list, v)
		}
	}
	return list
}

// requiredCapabilities is the group-context extension of RFC 9420 §11.1.
type requiredCapabilities struct {
	extensions, proposals, credentials []uint16
}

// RequiredCapabilitiesExtension is the group-context extension that lets only
// those be members, now and later, who have these capabilities (RFC 9420 §11.1):
// the ids of c's Extensions, Proposals and Credentials. Those that every client
// has by definition (§7.2) need not be among them.
func RequiredCapabilitiesExtension(c Capabilities) Extension {
	return Extension{Type: ExtRequiredCapabilities, Data: marshal(requiredCapabilities{c.Extensions, c.Proposals, c.Credentials})}
}

func (c requiredCapabilities) encode(w *writer) {
	w.u16s(c.extensions)
	w.u16s(c.proposals)
	w.u16s(c.credentials)
}

// readRequiredCapabilities refuses what no leaf could fulfil but by naming ids twice.
func readRequiredCapabilities(r *reader) requiredCapabilities {
	c := requiredCapabilities{r.u16s(), r.u16s(), r.u16s()}
	for _, list := range [][]uint16{c.extensions, c.proposals, c.credentials} {
		if len(list) > maxCapabilities {
			r.fail("%d required capabilities of a kind", len(list))
		}
	}
	return c
}

func requiredCapabilitiesOf(context []Extension) (requiredCapabilities, error) {
	data, ok := findExtension(context, ExtRequiredCapabilities)
	if !ok {
		return requiredCapabilities{}, nil
	}
	return unmarshal(data, readRequiredCapabilities)
}
