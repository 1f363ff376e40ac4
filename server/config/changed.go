package config

import "reflect"

// Changed lists the paths of the keys that differ between two configurations.
func Changed(a, b Config) []string {
	var paths []string
	others := keysOf(reflect.ValueOf(&b).Elem(), "")
	for i, key := range keysOf(reflect.ValueOf(&a).Elem(), "") {
		if !reflect.DeepEqual(key.value.Interface(), others[i].value.Interface()) {
			paths = append(paths, key.path)
		}
	}
	return paths
}
