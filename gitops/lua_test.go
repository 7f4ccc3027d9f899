// Runs a health script as Argo CD does: gopher-lua, a second's time, and no library but package, base and table.
package gitops

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/argoproj/argo-cd/gitops-engine/pkg/health"
	lua "github.com/yuin/gopher-lua"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var kinds = []string{"Harness", "Tenant", "Agent"}

func healthKey(kind string) string {
	return "resource.customizations.health.kr8tiv.ai_" + kind
}

// The scripts of the ConfigMap that users apply, by kind.
type luaHealth map[string]string

func healthOf(t *testing.T) luaHealth {
	t.Helper()
	var configMap corev1.ConfigMap
	read(t, configMapFile, &configMap)
	scripts := luaHealth{}
	for _, kind := range kinds {
		scripts[kind] = configMap.Data[healthKey(kind)]
		if scripts[kind] == "" {
			t.Fatalf("%s has no script for %s", configMapFile, kind)
		}
	}
	return scripts
}

// GetResourceHealth makes the scripts what the engine asks. Nothing is said of other kinds.
func (scripts luaHealth) GetResourceHealth(object *unstructured.Unstructured) (*health.HealthStatus, error) {
	script, ours := scripts[object.GetKind()]
	if !ours || object.GroupVersionKind().Group != "kr8tiv.ai" {
		return nil, nil
	}
	state := lua.NewState(lua.Options{SkipOpenLibs: true})
	defer state.Close()
	libraries := []struct {
		name string
		open lua.LGFunction
	}{{lua.LoadLibName, lua.OpenPackage}, {lua.BaseLibName, lua.OpenBase}, {lua.TabLibName, lua.OpenTable}}
	for _, library := range libraries {
		state.Push(state.NewFunction(library.open))
		state.Push(lua.LString(library.name))
		state.Call(1, 0)
	}
	limited, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	state.SetContext(limited)
	state.SetGlobal("obj", luaValue(state, object.Object))
	if err := state.DoString(script); err != nil {
		return nil, err
	}
	result, isTable := state.Get(-1).(*lua.LTable)
	if !isTable {
		return nil, fmt.Errorf("the script for %s gives no table", object.GetKind())
	}
	text := func(key string) string { return lua.LVAsString(result.RawGetString(key)) }
	return &health.HealthStatus{Status: health.HealthStatusCode(text("status")), Message: text("message")}, nil
}

func luaValue(state *lua.LState, value any) lua.LValue {
	switch value := value.(type) {
	case map[string]any:
		table := state.NewTable()
		for key, item := range value {
			table.RawSetString(key, luaValue(state, item))
		}
		return table
	case []any:
		table := state.NewTable()
		for _, item := range value {
			table.Append(luaValue(state, item))
		}
		return table
	case string:
		return lua.LString(value)
	case bool:
		return lua.LBool(value)
	case int64:
		return lua.LNumber(value)
	case float64:
		return lua.LNumber(value)
	default:
		return lua.LNil
	}
}
