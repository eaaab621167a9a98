package config

import (
	"reflect"
	"testing"
)

// SettingCount returns how many rows the table has.
func SettingCount() int { return len(new(Config).settings()) }

// SettingInfo is what the help says of a setting.
type SettingInfo struct{ Name, Env, Usage string }

// FieldsAndSettings finds the setting of each field of Config, by the address it writes to; nil when there is none.
func FieldsAndSettings(t *testing.T) map[string]*SettingInfo {
	t.Helper()
	var c Config
	byAddress := map[uintptr]*SettingInfo{}
	for _, s := range c.settings() {
		target := reflect.ValueOf(s.value)
		for target.Kind() == reflect.Struct {
			target = target.Field(0)
		}
		byAddress[target.Pointer()] = &SettingInfo{s.name, s.env(), s.usage}
	}
	found := map[string]*SettingInfo{}
	fields := reflect.ValueOf(&c).Elem()
	for i := range fields.NumField() {
		found[fields.Type().Field(i).Name] = byAddress[fields.Field(i).Addr().Pointer()]
	}
	return found
}
