package wire

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	qpcv1 "quicprochat/proto/qpc/v1"
)

// Largest request payloads in bytes.
const (
	DefaultMaxPayload = 1 << 20  // of a method that states no max_payload
	MaxRequest        = 16 << 20 // of any method
)

// Method is one rpc of package qpc.v1 with what its options state.
type Method struct {
	ID         uint16
	Name       protoreflect.FullName // such as "qpc.v1.NodeService.Health"
	Access     qpcv1.Access
	Rate       qpcv1.RateClass
	MaxPayload int // of the request, in bytes
	Idempotent bool
	Request    protoreflect.MessageType
	Response   protoreflect.MessageType
}

// Methods returns every method of the protocol in the order of their ids.
func Methods() []Method {
	t := methods()
	all := make([]Method, 0, len(t.byID))
	for _, m := range t.byID {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b Method) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// MethodOf returns the method that req's message type is the request of.
func MethodOf(req proto.Message) (Method, bool) {
	m, ok := methods().byRequest[req.ProtoReflect().Descriptor().FullName()]
	if !ok {
		return Method{}, false
	}
	return *m, true
}

// MethodByID returns the method with a wire id.
func MethodByID(id uint16) (Method, bool) {
	m, ok := methods().byID[id]
	if !ok {
		return Method{}, false
	}
	return *m, true
}

type methodTable struct {
	byID      map[uint16]*Method
	byRequest map[protoreflect.FullName]*Method
}

// methods builds the table once. A mistake in the .proto options is a mistake
// of the build, so it panics.
var methods = sync.OnceValue(func() methodTable {
	t, err := buildMethodTable()
	if err != nil {
		panic(err)
	}
	return t
})

func buildMethodTable() (methodTable, error) {
	t := methodTable{byID: map[uint16]*Method{}, byRequest: map[protoreflect.FullName]*Method{}}
	var err error
	pkg := qpcv1.File_qpc_v1_options_proto.Package()
	protoregistry.GlobalFiles.RangeFilesByPackage(pkg, func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			rpcs := f.Services().Get(i).Methods()
			for j := range rpcs.Len() {
				if err = t.add(rpcs.Get(j)); err != nil {
					return false
				}
			}
		}
		return true
	})
	return t, err
}

func (t methodTable) add(d protoreflect.MethodDescriptor) error {
	m, err := methodOf(d)
	if err != nil {
		return fmt.Errorf("wire: %s: %w", d.FullName(), err)
	}
	if other, taken := t.byID[m.ID]; taken {
		return fmt.Errorf("wire: %s: id %#04x is %s's", d.FullName(), m.ID, other.Name)
	}
	if other, taken := t.byRequest[d.Input().FullName()]; taken {
		return fmt.Errorf("wire: %s: request type is %s's", d.FullName(), other.Name)
	}
	t.byID[m.ID] = m
	t.byRequest[d.Input().FullName()] = m
	return nil
}

func methodOf(d protoreflect.MethodDescriptor) (*Method, error) {
	o := d.Options()
	id := proto.GetExtension(o, qpcv1.E_Id).(uint32)
	m := &Method{
		ID:         uint16(id),
		Name:       d.FullName(),
		Access:     proto.GetExtension(o, qpcv1.E_Access).(qpcv1.Access),
		Rate:       proto.GetExtension(o, qpcv1.E_RateClass).(qpcv1.RateClass),
		MaxPayload: int(proto.GetExtension(o, qpcv1.E_MaxPayload).(uint32)),
		Idempotent: proto.GetExtension(o, qpcv1.E_Idempotent).(bool),
	}
	switch {
	case id == 0 || id > 0xffff:
		return nil, fmt.Errorf("id %d is not in 1 to 65535", id)
	case m.Access == qpcv1.Access_ACCESS_UNSPECIFIED:
		return nil, fmt.Errorf("no access option")
	case m.Rate == qpcv1.RateClass_RATE_CLASS_UNSPECIFIED:
		return nil, fmt.Errorf("no rate_class option")
	case m.MaxPayload > MaxRequest:
		return nil, fmt.Errorf("max_payload %d is above %d", m.MaxPayload, MaxRequest)
	}
	if m.MaxPayload == 0 {
		m.MaxPayload = DefaultMaxPayload
	}
	var err error
	if m.Request, err = protoregistry.GlobalTypes.FindMessageByName(d.Input().FullName()); err != nil {
		return nil, err
	}
	m.Response, err = protoregistry.GlobalTypes.FindMessageByName(d.Output().FullName())
	return m, err
}
